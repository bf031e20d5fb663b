"""Readers: the real files where they are, and files in the same layout that are wrong in one place."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import edfio
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.errors import InnervateError
from train import readers
from train.readers import bonn, eegmat, emg_3dc, libemg_onesubject_myo, uci_emg_gestures
from train.readers._edf import read_edf
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
    assert {"uci_emg_gestures", "emg_3dc", "bonn", "eegmat", "simulated"} <= set(readers.names())
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


def bonn_file(folder: Path, text: str, name: str = "S/S001.txt") -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


SEGMENT = "".join(f"{n - 2048}\n" for n in range(4096)) + "0\n"


def test_bonn_segments_are_subjects_of_their_own(tmp_path: Path) -> None:
    for name in ("S/S002.txt", "N/N010.TXT", "Z/Z001.txt"):  # set N is in capitals in the original
        bonn_file(tmp_path, SEGMENT, name)
    assert readers.find(tmp_path).NAME == "bonn"
    found = list(bonn.read(tmp_path))
    assert [(r.id, r.context["set"]) for r in found] == [("Z001/1", "Z"), ("N010/1", "N"), ("S002/1", "S")]
    assert [r.annotations[0].label for r in found] == ["healthy_eyes_open", "interictal_opposite", "seizure"]
    for recording in found:
        recording.validate()
        assert recording.signals[:, 0].tolist() == [*range(-2048, 2048), 0]
        assert recording.annotations[0].duration == 4097
    assert [r.id for r in bonn.read(tmp_path / "N")] == ["N010/1"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        (SEGMENT[:-2], "4096 samples, not 4097"),
        ("5000\n" + SEGMENT, "5000 is not a whole count of 12 bits.*line 1"),
        (SEGMENT.replace("\n3\n", "\n3 4\n"), r"'3 4' is not a number.*line 2052"),
    ],
)
def test_bonn_names_the_fault(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InnervateError, match=complaint):
        list(bonn.read(bonn_file(tmp_path, text)))


INFO = "Subject,Age,Gender,Recording year,Number of subtractions,Count quality\nSubject07,18,F,2012,13.38,1\n"
COUNTS = np.random.default_rng(0).integers(-32768, 32768, (8, 1000)).astype(np.int16)


def edf_bytes(**changes: object) -> bytes:
    """Two seconds as in the data set: each channel has a scale of its own."""
    signals = []
    for number, name in enumerate(eegmat.CHANNELS):
        fields: dict[str, object] = {
            "sampling_frequency": 500,
            "label": f"EEG {name}",
            "physical_dimension": "uV",
            "physical_range": (-40.0 - number, 60.0 + number),
        }
        settings = fields | changes
        rate = settings["sampling_frequency"]
        length = 1000 if rate == 500 else 500
        signals.append(edfio.EdfSignal.from_digital(COUNTS[number, :length], **settings))  # type: ignore[arg-type]
    file = Path(tempfile.mkdtemp()) / "x.edf"
    edfio.Edf(signals, annotations=[]).write(file)
    content = file.read_bytes()
    file.unlink()
    file.parent.rmdir()
    return content


def eegmat_folder(folder: Path, content: bytes, info: str | None = INFO, part: int = 2) -> Path:
    (folder / f"Subject07_{part}.edf").write_bytes(content)
    if info is not None:
        (folder / "subject-info.csv").write_text(info)
    return folder


def test_eegmat_channels_of_all_scales_become_counts_of_one(tmp_path: Path) -> None:
    folder = eegmat_folder(tmp_path, edf_bytes())
    assert readers.find(folder).NAME == "eegmat"
    (recording,) = eegmat.read(folder)
    recording.validate()
    low, high = -40.0 - np.arange(8), 60.0 + np.arange(8)
    microvolts = low + (COUNTS.T.astype(np.float64) + 32768) * (high - low) / 65535
    assert np.abs(recording.signals * recording.uv_per_count - microvolts).max() <= 0.5001 * 0.02
    assert (recording.id, recording.fs_hz, recording.channels[0]) == ("07/1/arithmetic", 500.0, "F3")
    assert recording.annotations == (Annotation(0, 1000, "arithmetic"),)
    assert [recording.context[name] for name in ("age_years", "sex", "sex_male")] == ["18", "F", "0"]
    assert (recording.context["subtractions"], recording.context["count_quality"]) == ("13.38", "1")


def test_eegmat_millivolts_are_read_as_such(tmp_path: Path) -> None:
    (one,) = eegmat.read(eegmat_folder(tmp_path, edf_bytes(physical_range=(-100.0, 100.0))))
    content = edf_bytes(physical_range=(-0.1, 0.1), physical_dimension="mV")
    (other,) = eegmat.read(eegmat_folder(tmp_path, content))
    np.testing.assert_array_equal(one.signals, other.signals)


def test_eegmat_without_its_table_has_no_context(tmp_path: Path) -> None:
    (recording,) = eegmat.read(eegmat_folder(tmp_path, edf_bytes(), info=None))
    assert recording.context == {}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no sound EDF"),
        (b"0       " * 400, "no sound EDF"),
        (edf_bytes()[:-100], "not as long as its header says"),
        (edf_bytes()[: 256 * 10], "not as long as its header says"),
        (edf_bytes().replace(b"EEG O2", b"EEG Oz"), "The channel 'EEG O2' is missing"),
        (edf_bytes().replace(b"EDF+C", b"EDF+D"), "has breaks"),
        (edf_bytes(sampling_frequency=250), "'EEG F3' has 250 samples a second, not 500"),
        (edf_bytes(physical_dimension="degC"), "in 'degC', which is no voltage"),
        (edf_bytes(physical_range=(-900.0, 900.0)), "900 microvolts are more than the 655"),
    ],
)
def test_eegmat_names_the_fault(tmp_path: Path, content: bytes, complaint: str) -> None:
    with pytest.raises(InnervateError, match=complaint) as raised:
        list(eegmat.read(eegmat_folder(tmp_path, content)))
    assert "Subject07_2.edf" in str(raised.value)


@pytest.mark.parametrize(
    ("info", "complaint"),
    [
        (INFO.replace("Subject07", "Subject08"), "No line for Subject07"),
        (INFO.replace("Age", "Years"), "Line 2 does not hold Subject, Age"),
        (INFO.replace(",1\n", "\n"), "Line 2 does not hold Subject, Age"),
        (INFO.replace("18", '"18'), "Line 2 does not hold"),
    ],
)
def test_eegmat_names_the_fault_of_its_table(tmp_path: Path, info: str, complaint: str) -> None:
    with pytest.raises(InnervateError, match=complaint):
        list(eegmat.read(eegmat_folder(tmp_path, edf_bytes(), info)))


SOUND_EDF = edf_bytes()


LENGTH = len(SOUND_EDF)


@given(
    at=st.integers(0, 256 * 10 - 1), put=st.binary(min_size=1, max_size=8), end=st.integers(0, LENGTH)
)  # fmt: skip
@example(at=236, put=b"-1      ", end=LENGTH)  # records
@example(at=252, put=b"9999", end=LENGTH)  # signals
@example(at=252, put=b"-1  ", end=LENGTH)
@example(at=256 + 9 * 216, put=b"0       ", end=LENGTH)  # samples in a record
@example(at=256 + 9 * 216, put=b"-500    ", end=LENGTH)
@example(at=256 + 9 * 104, put=b"nan     ", end=LENGTH)  # lowest physical value
@example(at=244, put=b"nan     ", end=LENGTH)  # seconds of a record
@example(at=244, put=b"0       ", end=LENGTH)
def test_a_damaged_edf_is_read_or_refused_in_a_sentence(at: int, put: bytes, end: int) -> None:
    damaged = SOUND_EDF[:at] + put + SOUND_EDF[at + len(put) :]
    with tempfile.NamedTemporaryFile(suffix=".edf") as file:
        file.write(damaged[:end])
        file.flush()
        try:
            values = read_edf(Path(file.name), ["EEG F3", "EEG Pz"], 500.0)
        except InnervateError:
            return
        assert values.shape == (len(values), 2)
        assert np.isfinite(values).all()


def test_edf_reads_what_another_reader_reads(recordings: Path) -> None:
    """The sums of pyEDFlib; the file's own channels of other rates are left alone."""
    folder = recordings / "format_conformance"
    theirs = json.loads((folder / "reference_readings.json").read_text())["edfio/short_psg.edf"]["pyedflib"]
    names = theirs["labels"][:3]
    values = read_edf(folder / "edfio" / "short_psg.edf", names, 100.0)
    assert values.shape == (30000, 3)
    np.testing.assert_allclose(values.sum(axis=0), theirs["sum_first"], atol=1e-3)


@pytest.mark.parametrize(
    "read", [uci_emg_gestures.read, emg_3dc.read, libemg_onesubject_myo.read, bonn.read, eegmat.read]
)
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


def test_real_bonn(recordings: Path) -> None:
    found = list(bonn.read(recordings / "bonn"))
    assert Counter(r.context["set"] for r in found) == dict.fromkeys("ZONFS", 80)
    assert len({r.subject for r in found}) == 400
    for recording in found:
        recording.validate()
    assert {r.context["set"] for r in found if recording_is_clipped(r)} == {"F", "S"}


def recording_is_clipped(recording: Recording) -> bool:
    return bool((recording.signals == 2047).any())


def test_real_eegmat(recordings: Path) -> None:
    found = list(eegmat.read(recordings / "eegmat"))
    assert len(found) == 28
    assert len({r.subject for r in found}) == 14
    for recording in found:
        recording.validate()
        seconds = {a.label: a.duration / recording.fs_hz for a in recording.annotations}
        assert seconds in ({"rest_early": 120, "rest_late": 62}, {"arithmetic": 62})
        assert (recording.context["sex"], recording.context["sex_male"]) in {("F", "0"), ("M", "1")}


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
