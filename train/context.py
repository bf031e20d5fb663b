"""Context of recordings (age, sex, ...) as numbers: the mean and the spread that training sees."""

from collections.abc import Iterable, Sequence

import numpy as np

from edge.context import ContextField, check_fields, numbers
from edge.errors import InnervateError
from train.corpus import RecordingKey


def fit_fields(names: Sequence[str], keys: Iterable[RecordingKey]) -> tuple[ContextField, ...]:
    """Return the fields of a task with the mean and standard deviation over training recordings.

    Recordings that do not say a fact have no part in it. A fact that is the same in all of them gets a
    deviation of one, for nothing can be learned of how much it varies.

    Args:
        names: of the facts, as in `Recording.context`.
        keys: the recordings that train.

    Raises:
        InnervateError: no recording says a fact, one says it in words, or a name is given twice.
    """
    facts = [key.context for key in keys]
    fields = []
    for name in names:
        unscaled = (ContextField(name, 0.0, 1.0),)
        said = [numbers(unscaled, one)[name] for one in facts]
        values = np.array([value for value in said if value is not None])
        if not len(values):
            known = sorted({known for one in facts for known in one})
            raise InnervateError(
                f"No training recording says '{name}'",
                "context",
                f"They say {', '.join(known)}" if known else "Leave context out: they say nothing",
            )
        fields.append(ContextField(name, float(values.mean()), float(values.std()) or 1.0))
    check_fields(fields)
    return tuple(fields)
