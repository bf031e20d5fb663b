"""Task files: layers of settings, and sentences for what does not fit."""

from pathlib import Path

import pytest

from edge.errors import InnervateError
from train import readers, task
from train.readers import bonn
from train.splits import PROTOCOLS

MINIMAL = """
name = "small"
title = "t"
description = "d"
labels = ["rest", "fist", "wrist_flexion"]
protocol = "leave_subjects_out"
model = "cnn1d"
model_params = { hidden = [8] }
[signal_path]
window_ms = 200
hop_ms = 50
filters = [{ kind = "highpass", edges_hz = [20] }]
"""


def write(folder: Path, extra: str = "", base: str = MINIMAL) -> Path:
    file = folder / "small.toml"
    file.write_text(base + extra)
    return file


@pytest.mark.parametrize("name", task.names())
def test_tasks_of_the_project_fit_all_readers_they_share_labels_with(name: str) -> None:
    read = task.load(name)
    assert read.name == name
    fitting = {d for d in readers.names() if len(set(readers.get(d).LABELS) & set(read.labels)) > 1}
    for dataset in fitting | set(read.datasets):
        for protocol in PROTOCOLS:
            plan = read.plan(dataset, protocol)
            assert plan.protocol == protocol
            assert set(plan.classes.values()) == set(range(len(plan.labels)))
            assert not set(plan.train_sessions) & set(plan.test_sessions)


@pytest.mark.parametrize("dataset", ["simulated", "uci_emg_gestures", "emg_3dc", "libemg_onesubject_myo"])
def test_a_hand_is_moved_in_time(dataset: str) -> None:
    assert task.load("emg_gestures").plan(dataset).signal_path.window_ms <= 250


def test_of_bonn_the_three_sets_of_the_paper_take_part() -> None:
    plan = task.load("seizure_segments").plan("bonn")
    names = {group: label for group, label in bonn.SETS.items() if label in plan.classes}
    assert [(group, plan.labels[plan.classes[label]]) for group, label in names.items()] == [
        ("O", "healthy"),
        ("F", "interictal"),
        ("S", "seizure"),
    ]


def test_a_data_set_the_file_does_not_name_is_taken_as_it_is(tmp_path: Path) -> None:
    plan = task.load(write(tmp_path)).plan("emg_3dc")
    assert plan.labels == ("rest", "wrist_flexion")
    assert plan.classes == {"rest": 0, "wrist_flexion": 1}
    assert (plan.fs_hz, len(plan.channels), plan.counts_bits) == (1000.0, 10, 16)
    assert (plan.train_sessions, plan.test_sessions) == (("train",), ("test",))


def test_layers_lie_over_one_another(tmp_path: Path) -> None:
    read = task.load(
        write(
            tmp_path,
            """
        [protocols.within_subject.fit]
        epochs = 7
        [datasets.emg_3dc]
        protocol = "within_subject"
        labels = { power_grip = "fist", rest = "rest" }
        [datasets.emg_3dc.signal_path]
        window_ms = 150
        [datasets.emg_3dc.protocols.leave_subjects_out.fit]
        epochs = 9
        batch_size = 4
    """,
        )
    )
    plan = read.plan("emg_3dc")
    assert (plan.protocol, plan.fit.epochs, plan.fit.batch_size) == ("within_subject", 7, 256)
    assert (plan.signal_path.window_ms, plan.signal_path.hop_ms) == (150, 50)
    assert plan.classes == {"power_grip": 1, "rest": 0}
    assert plan.model_params == {"hidden": [8]}
    plan = read.plan("emg_3dc", "leave_subjects_out")
    assert (plan.fit.epochs, plan.fit.batch_size) == (9, 4)
    assert read.plan("simulated").signal_path.window_ms == 200
    assert read.plan("simulated").protocol == "leave_subjects_out"
    assert read.plan("simulated", model="other").model_params == {}


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        ("\n[fit]\nepoch = 3", "unknown field `epoch`"),
        ("\n[datasets.nowhere]", "Unknown data set 'nowhere'"),
        ("\n[datasets.emg_3dc]\nlabels = { rest = 'sleep' }", "label 'rest' -> 'sleep' is unknown"),
        ("\n[datasets.emg_3dc]\nlabels = { rest = 'rest' }", "Fewer than two labels"),
        ("\n[datasets.emg_3dc.signal_path]\nhop_ms = 300", "hop of 300 ms does not fit"),
        ("\n[datasets.emg_3dc.signal_path]\npercentile = 20", "percentile 20"),
        ("\n[datasets.emg_3dc.fit]\nepochs = 'many'", "settings do not fit"),
        ("\n[decision]\nvotes = 2\nmin_votes = 3", "min_votes must be 1 to votes"),
        ("\n[[", "malformed"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, extra: str, complaint: str) -> None:
    file = write(tmp_path, extra)
    with pytest.raises(InnervateError, match=complaint):
        task.load(file).plan("simulated")


def test_unknown_tasks_and_protocols(tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match="Unknown task 'juggling'"):
        task.load("juggling")
    with pytest.raises(InnervateError, match="Cannot read the task"):
        task.load(tmp_path / "absent.toml")
    with pytest.raises(InnervateError, match="Unknown protocol 'shuffle'"):
        task.load("emg_gestures").plan("simulated", "shuffle")
