"""The device says what it runs, and it is what the bundle says."""

from edge.bundle import Bundle
from edge.link import Link
from edge.messages import PROTOCOL


def test_handshake(link: Link, bundle: Bundle) -> None:
    info = link.hello(bundle.hash)
    path = bundle.signal_path
    assert info.protocol == PROTOCOL
    assert info.bundle_hash.hex() == bundle.hash
    assert any(info.build_id), "the build id is empty"
    assert (info.channels, info.outputs) == (len(path.channels), len(path.outputs))
    assert (info.window, info.hop) == (path.window, path.hop)
    assert info.labels == len(bundle.labels)
    assert info.credit >= 256, "not even one frame may be under way"
    assert info.tick_hz > 0
