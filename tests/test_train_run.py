"""Runs and evaluations, end to end on a small data set in the layout of emg_3dc."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from edge.context import ContextField
from edge.errors import InnervateError
from tests.test_train_fit import InterruptedFitError
from train import task
from train.corpus import Corpus
from train.evaluate import evaluate, evaluate_task
from train.experiment import Experiment
from train.models import keeps_state
from train.predict import predict, predict_windows
from train.run import Run, train
from train.splits import make_splits

TASK = """
name = "small"
title = "t"
description = "d"
labels = ["rest", "radial_deviation", "wrist_flexion"]
protocol = "within_subject"
model = "cnn1d"
model_params = { layers = [[8, 9, 4]], hidden = [] }
[signal_path]
window_ms = 100
hop_ms = 50
filters = [{ kind = "highpass", edges_hz = [20] }]
[fit]
epochs = 8
batch_size = 8
patience = 5
[personal]
epochs = 4
batch_size = 8
learning_rate = 1e-3
[decision]
votes = 3
min_votes = 2
[delay]
preferred_ms = 125
limit_ms = 300
"""
PARTICIPANTS = 6
SAMPLES = 700


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six participants, two sessions, two repetitions, three gestures that differ in loudness per channel."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    gains = rng.uniform(20, 400, (3, 10))
    for participant in range(1, PARTICIPANTS + 1):
        for session in ("train", "test"):
            emg = folder / f"Participant{participant}" / session / "EMG"
            emg.mkdir(parents=True)
            for repetition in range(2):
                for gesture in range(3):
                    counts = np.rint(rng.normal(0, 1, (SAMPLES, 10)) * gains[gesture]).astype(int)
                    np.savetxt(emg / f"3dc_EMG_gesture_{repetition}_{gesture}.txt", counts, "%d", ",")
    return folder


@pytest.fixture(scope="module")
def task_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("task") / "small.toml"
    file.write_text(TASK)
    return file


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path, task_file: Path) -> Run:
    return train(task_file, "emg_3dc", data, out=tmp_path_factory.mktemp("runs") / "run", seed=1)


def test_a_run_is_read_back_as_it_was(run: Run) -> None:
    assert sorted(file.name for file in run.folder.iterdir()) == ["metrics.json", "model.pt", "run.json"]
    assert [file.name for file in run.folder.parent.iterdir()] == ["run"]
    again = Run.load(run.folder)
    assert again.record == run.record
    assert again.metrics == run.metrics
    assert again.labels == ("rest", "radial_deviation", "wrist_flexion")
    test = again.windows("test")
    assert test.x.shape[1:] == (100, 10)
    predicted = predict(again.model(), test.x).argmax(axis=1)
    assert (predicted == test.y).mean() == pytest.approx(run.metrics.test.accuracy.value, abs=0.01)
    assert run.metrics.test.accuracy.value > 0.9
    assert run.metrics.floor.accuracy.value > 0.9


def test_parts_of_a_run_share_no_recording(run: Run, data: Path, task_file: Path) -> None:
    fitted, validated, test = (run.windows(part) for part in ("train", "valid", "test"))
    assert len(validated) == 0  # nothing stops the fit to the subject early
    assert set(fitted.subject) == set(test.subject) == {"1"}
    assert set(fitted.session) == {"train"}
    assert set(test.session) == {"test"}
    assert {recording.id for recording in run.recordings("test")} == set(test.recording)
    assert {recording.id for recording in run.recordings("train")} == set(fitted.recording)
    assert len(run.record.split.common) == 36
    assert all("/train/" in one for one in run.record.split.common)


def test_validation_subjects_are_others(data: Path, task_file: Path, tmp_path: Path) -> None:
    made = train(task_file, "emg_3dc", data, out=tmp_path / "run", protocol="leave_subjects_out", subject="3")
    parts = [set(made.windows(part).subject) for part in ("train", "valid", "test")]
    assert parts[2] == {"3"}
    assert parts[1]
    assert set.union(*parts) == set("123456")
    assert sum(map(len, parts)) == 6
    with pytest.raises(InnervateError, match="No split tests the subject '9'"):
        train(task_file, "emg_3dc", data, out=tmp_path / "other", subject="9")


def test_normalisation_sees_training_recordings_only(data: Path, task_file: Path, tmp_path: Path) -> None:
    loud = tmp_path / "data"
    shutil.copytree(data, loud)
    for file in loud.glob("*/test/EMG/*.txt"):
        np.savetxt(file, 20 * np.loadtxt(file, delimiter=",", dtype=int), "%d", ",")
    paths = []
    for folder in (data, loud):
        plan = task.load(task_file).plan("emg_3dc")
        corpus = Corpus("emg_3dc", folder)
        splits = make_splits(plan.protocol, corpus.keys, plan.train_sessions, plan.test_sessions)
        paths.append([Experiment(plan, corpus, split, 0).design_path() for split in splits])
    assert paths[0] == paths[1]
    assert len(set(paths[0])) == 1  # by default everyone's recordings set the scale


def test_scale_per_subject(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(TASK.replace("hop_ms = 50", "hop_ms = 50\nscale_per_subject = true\nscale = 'band'"))
    plan = task.load(file).plan("emg_3dc")
    corpus = Corpus("emg_3dc", data)
    splits = make_splits(plan.protocol, corpus.keys, plan.train_sessions, plan.test_sessions)
    paths = [Experiment(plan, corpus, split, 0).design_path() for split in splits]
    assert len({path.multiplier for path in paths}) == PARTICIPANTS
    assert all(len(set(path.multiplier)) == 1 for path in paths)


def test_the_same_seed_gives_the_same_weights(run: Run, data: Path, task_file: Path, tmp_path: Path) -> None:
    again = train(task_file, "emg_3dc", data, out=tmp_path / "run", seed=1)
    assert again.metrics == run.metrics
    for mine, other in zip(
        again.model().state_dict().values(), run.model().state_dict().values(), strict=True
    ):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())


def test_an_interrupted_run_leaves_no_folder_and_goes_on(
    run: Run, data: Path, task_file: Path, tmp_path: Path
) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "everyone: train" and done == 3:
            raise InterruptedFitError

    out = tmp_path / "run"
    with pytest.raises(InterruptedFitError):
        train(task_file, "emg_3dc", data, out=out, seed=1, progress=interrupt)
    assert not out.exists()
    epochs: list[tuple[str, int]] = []

    def note(stage: str, done: int, total: int) -> None:
        if "train" in stage:
            epochs.append((stage, done))

    resumed = train(task_file, "emg_3dc", data, out=out, seed=1, progress=note)
    assert epochs[0] == ("everyone: train", 4)
    assert [done for stage, done in epochs if stage == "train"] == [1, 2, 3, 4]
    assert resumed.metrics == run.metrics
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_evaluating_a_run_gives_its_own_figures(run: Run) -> None:
    evaluation = evaluate(Run.load(run.folder))
    assert evaluation.network == run.metrics.test
    assert evaluation.floor == run.metrics.floor
    assert evaluation.delay.mean_ms == pytest.approx(50 + 25 + 50 + run.signal_path.group_delay_ms)


def test_leaving_subjects_out_tests_each_subject_once(data: Path, task_file: Path) -> None:
    stages: list[str] = []
    evaluation = evaluate_task(
        task_file,
        "emg_3dc",
        data,
        protocol="leave_subjects_out",
        fast=True,
        progress=lambda stage, done, total: stages.append(stage),
    )
    assert evaluation.folds == 5
    assert [entry.subject for entry in evaluation.network.subjects] == list("123456")
    assert evaluation.network.windows == evaluation.floor.windows
    assert {stage.split(":")[0] for stage in stages} == {f"fold {n}/5" for n in range(1, 6)}


def test_another_protocol_for_a_run(run: Run) -> None:
    evaluation = evaluate(run, "leave_subjects_out")
    assert (evaluation.protocol, evaluation.folds, evaluation.seed) == ("leave_subjects_out", 5, 1)


def test_misuse_is_a_sentence(run: Run, data: Path, task_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match="exists already"):
        train(task_file, "emg_3dc", data, out=run.folder)
    with pytest.raises(InnervateError, match="needs its files"):
        train(task_file, "emg_3dc", None, out=tmp_path / "run")
    with pytest.raises(InnervateError, match="No such file"):
        train(task_file, "emg_3dc", tmp_path / "absent", out=tmp_path / "run")
    with pytest.raises(InnervateError, match="There is no fold 7"):
        train(task_file, "emg_3dc", data, out=tmp_path / "run", fold=7)
    with pytest.raises(InnervateError, match="Unknown network"):
        train(task_file, "emg_3dc", data, out=tmp_path / "run", model="oracle")
    assert not (tmp_path / "run").exists()


def test_damaged_runs_are_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match="Cannot read the run"):
        Run.load(tmp_path)
    broken = tmp_path / "run"
    shutil.copytree(run.folder, broken)
    (broken / "model.pt").write_bytes(b"junk")
    with pytest.raises(InnervateError, match="weights cannot be read"):
        Run.load(broken).model()
    text = (broken / "run.json").read_text()
    (broken / "run.json").write_text(text.replace('"format": 1', '"format": 9'))
    with pytest.raises(InnervateError, match="format 9"):
        Run.load(broken)
    (broken / "run.json").write_text(text[: len(text) // 2])
    with pytest.raises(InnervateError, match="malformed"):
        Run.load(broken)


def test_recordings_that_are_gone(run: Run, data: Path, task_file: Path, tmp_path: Path) -> None:
    moved = tmp_path / "data"
    shutil.copytree(data, moved)
    made = train(task_file, "emg_3dc", moved, out=tmp_path / "run", fast=True)
    shutil.rmtree(moved / "Participant1")
    with pytest.raises(InnervateError, match="The recording '1/test/0_0' is not there"):
        Run.load(made.folder).windows("test")
    shutil.rmtree(moved)
    with pytest.raises(InnervateError, match="No such file"):
        Run.load(made.folder).windows("test")


def test_a_delay_above_the_limit_is_refused(data: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow.toml"
    slow.write_text(TASK.replace("votes = 3", "votes = 15"))
    with pytest.raises(InnervateError, match=r"A mean delay of \d+ ms is above the limit of 300 ms"):
        train(slow, "emg_3dc", data, out=tmp_path / "run")


def test_a_label_without_windows_is_refused(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "more.toml"
    file.write_text(TASK.replace('"wrist_flexion"', '"wrist_flexion", "pinch_grip"'))
    with pytest.raises(InnervateError, match="No training window has the label 'pinch_grip'"):
        train(file, "emg_3dc", data, out=tmp_path / "run")


def test_a_run_with_context_and_a_kept_state(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "kept.toml"
    changed = TASK.replace('model = "cnn1d"', 'model = "gru"\ncontext = ["repetition"]\nkeeps_state = true')
    changed = changed.replace("{ layers = [[8, 9, 4]], hidden = [] }", "{ units = 8, stride = 10 }")
    file.write_text(changed.replace("hop_ms = 50", "hop_ms = 100\ntrain_hop_ms = 20"))
    run = Run.load(train(file, "emg_3dc", data, out=tmp_path / "run", protocol="leave_subjects_out").folder)
    assert run.record.context == (ContextField("repetition", 0.5, 0.5),)
    model, test = run.model(), run.windows("test")
    assert keeps_state(model)
    assert set(np.unique(test.context)) == {-1.0, 1.0}
    ends = [test.end_index[test.recording == one] for one in np.unique(test.recording)]
    assert all((np.diff(one) == 100).all() for one in ends)  # in training the hop is the device's too
    assert all((np.diff(run.windows("train").end_index) % 100 == 0).tolist())
    assert evaluate(run).network == run.metrics.test
    logits, first = predict_windows(model, test), test.end_index == test.end_index.min()
    accuracy = float((logits.argmax(axis=1) == test.y).mean())
    assert accuracy == pytest.approx(run.metrics.test.accuracy.value, abs=0.01)
    alone = np.abs(logits - predict(model, test.x, test.context)).max(axis=1)
    assert alone[first].max() < 1e-5 < 1e-3 < alone[~first].max()
