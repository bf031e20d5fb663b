"""Tasks: what is decided, from which data sets, by which chain. One TOML file each in the folder.

A task states its settings once. Where a protocol or a data set needs others, the file says only what differs:
``[protocols.P]``, ``[datasets.D]`` and ``[datasets.D.protocols.P]`` are laid over the task in this order, and
at last what the network in use needs: ``[models.M]`` and ``[datasets.D.models.M]``. A data set that the file
does not name can be used too, if its reader has labels of the task.
"""

from pathlib import Path
from typing import Any, Literal

import msgspec

from edge.decision import DecisionRule
from edge.errors import InnervateError
from edge.features import Kind
from edge.filters import Filter
from edge.gain import GainControl
from train import readers
from train.feature_settings import FeatureSettings, SetName
from train.gates import GateSettings
from train.montage import fit_montage
from train.resample import factors
from train.settings import Augmentation, FitSettings
from train.splits import PROTOCOLS, Protocol

FOLDER = Path(__file__).parent / "tasks"

Floor = Literal["time_domain", "band_powers"]

_MAX_TASK_BYTES = 1 << 20
_OF_LAYERS = ("protocol", "protocols", "models")
"""Keys of a layer that choose or hold layers themselves."""


class PathSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a signal path is designed from.

    Attributes:
        window_ms: length of a window.
        hop_ms: between the ends of two windows.
        train_hop_ms: the same for training windows; more overlap is cheap variety.
        train_skip_ms: start of each annotation that training leaves out, not the test: a label that follows a
            cue begins before the muscle does.
        montage: what the channels become before the filters (`train.montage`); None leaves them alone.
        filters: in order.
        percentile: of the filtered training signal's magnitude that becomes full scale of int8.
        scale: one for each channel, or one for all channels of the band together.
        scale_per_subject: whether a subject with training recordings gets a scale from them alone.
        gates: which windows are not fit to decide on.
        gain_control: follows a signal that grows or fades over minutes; None keeps the scale. Training
            windows then have the device's hop, for the gain moves with each window.
        features: what each window becomes for the network (`train.feature_settings`), standardised over the
            training windows; none: the window itself. Augmentations of the signal then do not apply.
    """

    window_ms: float
    hop_ms: float
    train_hop_ms: float | None = None
    train_skip_ms: float = 0.0
    montage: Literal["common_average", "bipolar"] | dict[str, dict[str, float]] | None = None
    filters: tuple[Filter, ...] = ()
    percentile: float = 99.9
    scale: Literal["channel", "band"] = "channel"
    scale_per_subject: bool = False
    gates: GateSettings = GateSettings()
    gain_control: GainControl | None = None
    features: tuple[SetName | Kind | FeatureSettings, ...] = ()


class DelayLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Delay of a decision: what is best, and what is refused (the mean, in ms)."""

    preferred_ms: float
    limit_ms: float


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A task settled for one data set and one protocol: everything a run needs but data and seed.

    Attributes:
        task: name of the task.
        dataset: name of the reader.
        protocol: how recordings are split.
        labels: class names, in the order of the model's outputs.
        classes: class index of each label of the reader that takes part.
        fs_hz, channels, counts_bits: of the data set; `fs_hz` is `resample_hz` where that is given.
        resample_hz: rate of the device's converter, to which recordings are resampled; None keeps theirs.
        train_sessions, test_sessions: for splits within a subject.
        signal_path: what the path is designed from.
        model: name of the network.
        model_params: its parameters.
        keeps_state: whether the network's state goes on from window to window; the hop is then the window.
        context: facts of a recording that the network takes beside the window, as the reader names them.
        fit: how it is trained.
        personal: how it is then fitted to one subject where the protocol gives the subject training
            recordings; None trains on these alone, by `fit`.
        decision: rule over the outputs.
        delay: limits, where the task has any.
        floor: what the linear discriminant sees that the network is compared with (`train.baseline`).
    """

    task: str
    dataset: str
    protocol: Protocol
    labels: tuple[str, ...]
    classes: dict[str, int]
    fs_hz: float
    resample_hz: float | None = None
    channels: tuple[str, ...]
    counts_bits: int
    train_sessions: tuple[str, ...]
    test_sessions: tuple[str, ...]
    signal_path: PathSettings
    model: str
    model_params: dict[str, Any]
    keeps_state: bool = False
    context: tuple[str, ...] = ()
    fit: FitSettings
    personal: FitSettings | None = None
    decision: DecisionRule
    delay: DelayLimits | None = None
    floor: Floor = "time_domain"


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A task file.

    Attributes:
        name: as in the file's name.
        title: for people, a few words.
        description: one or two sentences.
        labels: all labels the task knows, in the order outputs have.
        protocol: the split used unless another is asked for.
        datasets: by name of the reader, what differs from the task, and optionally ``labels`` (the reader's
            label -> the task's; those left out take no part), ``train_sessions``, ``test_sessions``.
        protocols: by protocol, what differs from the task.
        models: by network, what differs from the task where it is used.
    """

    name: str
    title: str
    description: str
    labels: tuple[str, ...]
    protocol: Protocol
    signal_path: PathSettings
    model: str
    model_params: dict[str, Any] = {}
    keeps_state: bool = False
    context: tuple[str, ...] = ()
    resample_hz: float | None = None
    fit: FitSettings = FitSettings()
    personal: FitSettings | None = None
    decision: DecisionRule = DecisionRule()
    delay: DelayLimits | None = None
    floor: Floor = "time_domain"
    protocols: dict[Protocol, dict[str, Any]] = {}
    datasets: dict[str, dict[str, Any]] = {}
    models: dict[str, dict[str, Any]] = {}

    def plan(self, dataset: str, protocol: str | None = None, model: str | None = None) -> Plan:
        """Settle the task for a data set and a protocol.

        Args:
            dataset: name of a reader.
            protocol: None for the task's own.
            model: another network than the task's, with its default parameters where the file has no others.

        Raises:
            InnervateError: unknown data set or protocol, or settings that do not hold together.
        """
        reader = readers.get(dataset)
        entry = self.datasets.get(dataset, {})
        protocol = protocol or entry.get("protocol", self.protocol)
        if protocol not in PROTOCOLS:
            raise InnervateError(
                f"Unknown protocol '{protocol}'", "", f"Choose one of {', '.join(PROTOCOLS)}"
            )
        settings: dict[str, Any] = msgspec.to_builtins(self)
        for name in ("name", "title", "description", "labels", "protocol", "datasets", "protocols", "models"):
            del settings[name]
        for layer in (self.protocols.get(protocol, {}), entry, entry.get("protocols", {}).get(protocol, {})):
            settings = _overlay(
                settings, {key: value for key, value in layer.items() if key not in _OF_LAYERS}
            )
        if model is not None and model != settings["model"]:
            settings |= {"model": model, "model_params": {}}
        for models in (self.models, entry.get("models", {})):
            settings = _overlay(settings, models.get(settings["model"], {}))

        names: dict[str, str] = settings.pop(
            "labels", {name: name for name in reader.LABELS if name in self.labels}
        )
        where = f"{self.name}, data set {dataset}"
        for theirs, ours in names.items():
            if theirs not in reader.LABELS or ours not in self.labels:
                raise InnervateError(
                    f"The label '{theirs}' -> '{ours}' is unknown",
                    where,
                    "Map labels of the reader to labels of the task",
                )
        labels = tuple(label for label in self.labels if label in names.values())
        if len(labels) < 2:
            raise InnervateError(
                "Fewer than two labels are left", where, "Map the reader's labels to the task's"
            )
        sessions = reader.SESSIONS
        half = (len(sessions) + 1) // 2
        facts = {
            "task": self.name,
            "dataset": dataset,
            "protocol": protocol,
            "labels": labels,
            "classes": {theirs: labels.index(ours) for theirs, ours in names.items()},
            "fs_hz": reader.FS_HZ,
            "channels": reader.CHANNELS,
            "counts_bits": reader.COUNTS_BITS,
            "train_sessions": sessions[:half],
            "test_sessions": sessions[half:],
        }
        try:
            plan = msgspec.convert(facts | settings, Plan)
        except msgspec.ValidationError as error:
            raise InnervateError(
                f"The task's settings do not fit: {error}", where, "Correct the file"
            ) from None
        if plan.resample_hz is not None:
            factors(plan.fs_hz, plan.resample_hz)
            plan = msgspec.structs.replace(plan, fs_hz=plan.resample_hz)
        _check(plan, where)
        return _without_signal(plan) if plan.signal_path.features else plan


def _without_signal(plan: Plan) -> Plan:
    """Return the plan without augmentations of the signal, which mean nothing to its features."""
    fit, personal = (
        settings
        and msgspec.structs.replace(settings, augmentation=Augmentation(noise=settings.augmentation.noise))
        for settings in (plan.fit, plan.personal)
    )
    return msgspec.structs.replace(plan, fit=fit, personal=personal)


def _overlay(base: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    """Lay one table over another: tables merge, all else is replaced.

    A new model has its own parameters; a montage is one thing.
    """
    merged = dict(base)
    if layer.get("model", base.get("model")) != base.get("model"):
        merged["model_params"] = {}
    for key, value in layer.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict) and key != "montage":
            merged[key] = _overlay(below, value)
        else:
            merged[key] = value
    return merged


def _check(plan: Plan, where: str) -> None:
    path = plan.signal_path
    train_hop = path.train_hop_ms if path.train_hop_ms is not None else path.hop_ms
    if not 0 < path.hop_ms <= path.window_ms or not 0 < train_hop <= path.window_ms:
        raise InnervateError(
            f"A hop of {path.hop_ms:g} ms does not fit a window of {path.window_ms:g} ms",
            where,
            "Make the hop shorter than the window",
        )
    if plan.keeps_state and path.hop_ms != path.window_ms:
        raise InnervateError(
            f"A state that is kept would see each sample {path.window_ms / path.hop_ms:g} times",
            where,
            "Make hop_ms and window_ms equal, or leave keeps_state out",
        )
    if path.train_skip_ms < 0:
        raise InnervateError(
            f"train_skip_ms of {path.train_skip_ms:g} is negative", where, "Use 0 or the reaction time"
        )
    if not 50 < path.percentile <= 100:
        raise InnervateError(
            f"The percentile {path.percentile:g} is not above 50 and at most 100", where, "Use 99 to 100"
        )
    for f in path.filters:
        f.validate()
    if path.montage is not None:
        fit_montage(path.montage, plan.channels)
    plan.decision.validate()


def names() -> list[str]:
    """Names of all tasks, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def load(task: str | Path) -> Task:
    """Read a task by name or from a TOML file.

    Raises:
        InnervateError: there is none, or the file is malformed; says where.
    """
    file = (
        task if isinstance(task, Path) else Path(task) if task.endswith(".toml") else FOLDER / f"{task}.toml"
    )
    if isinstance(task, str) and file.parent == FOLDER and task not in names():
        raise InnervateError(
            f"Unknown task '{task}'", "", f"Choose one of {', '.join(names())}, or give a .toml file"
        )
    try:
        with file.open("rb") as stream:
            raw = stream.read(_MAX_TASK_BYTES)
        read = msgspec.toml.decode(raw, type=Task)
    except OSError as error:
        raise InnervateError(f"Cannot read the task: {error.strerror}", str(file), "Check the path") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InnervateError(f"The task file is malformed: {error}", str(file), "Correct it") from None
    for dataset, entry in read.datasets.items():
        for protocol in PROTOCOLS:
            for model in (None, *read.models, *entry.get("models", {})):
                read.plan(dataset, protocol, model)
    return read
