"""Readers: the real files where they are, and files in the same layout that are wrong in one place."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InnervateError
from train import readers
from train.readers import emg_3dc, libemg_onesubject_myo, uci_emg_gestures
from train.recording import Annotation, Recording

UCI_HEADER = "time\t" + "\t".join(f"channel{n}" for n in range(1, 9)) + "\tclass\n"


def uci_line(time_ms: int, counts: list[int], label: int) -> str:
    return "\t".join([str(time_ms), *(f"{count * 1e-5:g}" for count in counts), str(label)]) + "\n"


def uci_file(folder: Path, lines: list[str], name: str = "1_raw_data_x.txt") -> Path:
    subject = folder / "01"
    subject.mkdir(parents=True, exist_ok=True)
    (subject / name).write_text(UCI_HEADER + "".join(lines))
    return folder


def uci_lines(samples: int, held_ms: int = 9, label: int = 2) -> list[str]:
    """Each sample written once a millisecond for `held_ms`."""
    return [
        uci_line(1 + sample * held_ms + repeat, [sample % 100, -(sample % 7), 0, 0, 0, 0, 0, 127], label)
        for sample in range(samples)
        for repeat in range(held_ms)
    ]


def test_registry_is_the_folder() -> None:
    assert set(readers.names()) == {"uci_emg_gestures", "emg_3dc", "libemg_onesubject_myo", "simulated"}
    for name in readers.names():
        reader = readers.get(name)
        assert name == reader.NAME
        assert reader.DESCRIPTION
        assert reader.LABELS
    with pytest.raises(InnervateError, match="Unknown data set 'ninapro'"):
        readers.get("ninapro")


def test_find_says_what_it_knows(tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match="No reader knows this layout"):
        readers.find(tmp_path)
    with pytest.raises(InnervateError, match="No such file"):
        readers.find(tmp_path / "absent")
    assert readers.find(uci_file(tmp_path, uci_lines(60))).NAME == "uci_emg_gestures"


def test_uci_drops_repeats_and_keeps_each_sample_once(tmp_path: Path) -> None:
    (recording,) = uci_emg_gestures.read(uci_file(tmp_path, uci_lines(90)))
    recording.validate()
    assert recording.signals[:, 0].tolist() == list(range(90))
    assert recording.signals[:, 7].tolist() == [127] * 90
    assert recording.context["rows_per_s"] == "111.1"
    assert recording.annotations == (Annotation(0, 90, "fist"),)


def test_uci_begins_anew_after_a_loss(tmp_path: Path) -> None:
    lines = uci_lines(60)
    later = [uci_line(2000 + 9 * n, [n, n, n, n, n, n, n, n], 1) for n in range(1, 60)]
    first, second = uci_emg_gestures.read(uci_file(tmp_path, lines + later))
    assert (len(first.signals), len(second.signals)) == (60, 59)
    assert first.id == "01/1"
    assert second.id == "01/1/1"
    assert second.annotations == (Annotation(0, 59, "rest"),)


def test_uci_unmarked_samples_have_no_annotation(tmp_path: Path) -> None:
    lines = [uci_line(9 * n + 1, [n] * 8, 0 if n < 20 else 3) for n in range(60)]
    (recording,) = uci_emg_gestures.read(uci_file(tmp_path, lines))
    assert recording.annotations == (Annotation(20, 40, "wrist_flexion"),)
    assert recording.label_track({"wrist_flexion": 4}).tolist() == [-1] * 20 + [4] * 40


GOOD = uci_lines(60)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "empty"),
        ([*GOOD[:5], GOOD[5].replace("\t0\t", "\tnan\t", 1), *GOOD[6:]], r"'nan' is not a finite.*line 7"),
        ([*GOOD[:5], "6\tx" + GOOD[5][1:]], r"columns where 10.*line 7"),
        ([*GOOD[:5], GOOD[5].replace("\t0\t", "\toops\t", 1)], r"'oops' is not a number.*line 7"),
        ([*GOOD[:5], "6\t0\t0\n"], r"3 columns where 10 are expected.*line 7"),
        (
            [*GOOD[:5], uci_line(6, [200, 0, 0, 0, 0, 0, 0, 0], 1)],
            r"200 is not a whole count of 8 bits.*line 7",
        ),
        ([*GOOD[:5], uci_line(6, [0, 0, 0, 0, 0, 0, 0, 0], 9)], r"Unknown class 9.*line 7"),
        ([*GOOD[:5], GOOD[2]], r"Time does not advance.*line 7"),
        (uci_lines(200, held_ms=2), r"500 distinct rows a second"),
    ],
)
def test_uci_names_the_fault(tmp_path: Path, lines: list[str], complaint: str) -> None:
    folder = uci_file(tmp_path, lines)
    with pytest.raises(InnervateError, match=complaint):
        list(uci_emg_gestures.read(folder))


def test_binary_junk_is_a_sentence(tmp_path: Path) -> None:
    folder = uci_file(tmp_path, [])
    (folder / "01" / "1_raw_data_x.txt").write_bytes(UCI_HEADER.encode() + bytes(range(128, 256)) * 40)
    with pytest.raises(InnervateError, match="columns where 10 are expected"):
        list(uci_emg_gestures.read(folder))


def write_3dc(folder: Path, rows: str, name: str = "3dc_EMG_gesture_0_1.txt") -> Path:
    emg = folder / "Participant1" / "train" / "EMG"
    emg.mkdir(parents=True)
    (emg / name).write_text(rows)
    return folder


def test_3dc_file_is_a_recording(tmp_path: Path) -> None:
    rows = np.arange(60).reshape(6, 10) - 30
    text = "\n".join(",".join(str(value) for value in row) for row in rows)
    (recording,) = emg_3dc.read(write_3dc(tmp_path, text))
    recording.validate()
    np.testing.assert_array_equal(recording.signals, rows)
    assert (recording.subject, recording.session, recording.id) == ("1", "train", "1/train/0_1")
    assert recording.annotations == (Annotation(0, 6, "radial_deviation"),)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("", "empty"),
        ("1,2,3\n", "3 columns where 10 are expected.*line 1"),
        ("1,2,3,4,5,6,7,8,9,40000\n", "40000 is not a whole count of 16 bits.*line 1"),
        ("1,2,3,4,5,6,7,8,9,1.5\n", "1.5 is not a whole count"),
        ("1,2,3,4,5,6,7,8,9,0\n1,2,3,4,5,6,7,8,9,inf\n", "'inf' is not a finite number.*line 2"),
    ],
)
def test_3dc_names_the_fault(tmp_path: Path, rows: str, complaint: str) -> None:
    with pytest.raises(InnervateError, match=complaint):
        list(emg_3dc.read(write_3dc(tmp_path, rows)))


def test_3dc_refuses_unknown_gestures(tmp_path: Path) -> None:
    row = ",".join(["1"] * 10)
    with pytest.raises(InnervateError, match="Unknown gesture 11"):
        list(emg_3dc.read(write_3dc(tmp_path, row, "3dc_EMG_gesture_0_11.txt")))


@pytest.mark.parametrize("read", [uci_emg_gestures.read, emg_3dc.read, libemg_onesubject_myo.read])
def test_an_empty_folder_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(InnervateError, match="No files like"):
        list(read(tmp_path))  # type: ignore[call-overload]


def test_real_uci(recordings: Path) -> None:
    found = list(uci_emg_gestures.read(recordings / "uci_emg_gestures"))
    assert len(found) == 48
    assert len({recording.subject for recording in found}) == 25
    single = [subject for subject, count in Counter(r.subject for r in found).items() if count == 1]
    assert single == ["02", "34"]
    for recording in found:
        recording.validate()
        counts = recording.signals
        assert (counts[1:] != counts[:-1]).any(axis=1).all()
        assert 90 < float(recording.context["rows_per_s"]) < 112
        # two repetitions of six gestures
        assert Counter(a.label for a in recording.annotations) == dict.fromkeys(
            uci_emg_gestures.LABELS[:6], 2
        )


def test_real_3dc(recordings: Path) -> None:
    found = list(emg_3dc.read(recordings / "emg_3dc"))
    assert Counter((r.subject, r.session) for r in found) == {
        (subject, session): 44 for subject in "123456" for session in ("train", "test")
    }
    assert min(len(recording.signals) for recording in found) == 363
    for recording in found:
        recording.validate()


def test_real_libemg(recordings: Path) -> None:
    found = list(libemg_onesubject_myo.read(recordings / "libemg_onesubject_myo"))
    assert len(found) == 60
    assert all(590 <= len(recording.signals) <= 620 for recording in found)
    for recording in found:
        recording.validate()


def make_recording(**changes: object) -> Recording:
    fields: dict[str, object] = {
        "signals": np.zeros((10, 2), np.int32),
        "fs_hz": 100.0,
        "channels": ("a", "b"),
        "counts_bits": 8,
        "subject": "s",
        "session": "1",
        "annotations": (),
    }
    return Recording(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"signals": np.zeros(10, np.int32)}, "must be int32 or float32"),
        ({"signals": np.zeros((10, 2), np.float64)}, "must be int32 or float32"),
        ({"signals": np.zeros((0, 2), np.int32)}, "no samples"),
        ({"channels": ("a",)}, "2 columns of signal for 1 channel names"),
        ({"signals": np.full((10, 2), 128, np.int32)}, "do not fit 8 bits"),
        ({"signals": np.full((10, 2), np.nan, np.float32)}, "NaN"),
        ({"annotations": (Annotation(0, 5, "x"), Annotation(4, 2, "y"))}, "overlaps"),
        ({"annotations": (Annotation(0, 0, "x"),)}, "is empty"),
        ({"annotations": (Annotation(8, 3, "x"),)}, "ends at sample 11 of 10"),
    ],
)
def test_recordings_are_checked(changes: dict[str, object], complaint: str) -> None:
    make_recording().validate()
    with pytest.raises(InnervateError, match=complaint):
        make_recording(**changes).validate()


def test_microvolts_are_no_counts() -> None:
    with pytest.raises(InnervateError, match="takes ADC counts"):
        make_recording(signals=np.zeros((10, 2), np.float32)).counts()
