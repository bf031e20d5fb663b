"""Quantization-aware training: the quantized network learns to say what the float network says.

The loss is the divergence of its probabilities from the float network's (Hinton, Vinyals and Dean 2015), so
that it needs no labels and cannot drift to what suits the training subjects only. Gradients pass the rounding
straight through; weights, biases and activation scales are trained.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from edge.errors import InnervateError
from train.fit import Progress
from train.models import to_input
from train.predict import logits_of

REPORT_EVERY = 20
"""Steps between two calls of progress."""


def distil(
    student: nn.Module,
    teacher: nn.Module,
    x: NDArray[np.int8],
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    progress: Progress | None = None,
    context: NDArray[np.float32] | None = None,
    row: int = 1,
) -> None:
    """Train `student` in place to give the probabilities of `teacher`; both end in evaluation mode.

    Args:
        student: calibrated quantized form.
        teacher: the float network it came from.
        x: windows int8 [N, row * window, channels] of the training part.
        steps: of Adam; the learning rate falls to zero along a half cosine.
        batch_size: windows a step.
        learning_rate: at the start.
        seed: of the order of windows.
        progress: called with "qat", steps done and steps in all.
        context: float32 [N, F] for networks that take a context vector.
        row: windows in a row, between which both networks keep their states.

    Raises:
        InnervateError: the loss is no longer finite.
    """
    report = progress or (lambda stage, done, total: None)
    order = np.random.default_rng(seed)
    vectors = torch.from_numpy(np.zeros((len(x), 0), np.float32) if context is None else context)
    optimizer = torch.optim.Adam(student.parameters(), lr=learning_rate)
    teacher.eval()
    student.train()
    queue = order.permutation(len(x))
    for step in range(steps):
        if len(queue) < min(batch_size, len(x)):
            queue = order.permutation(len(x))
        batch, queue = queue[:batch_size], queue[batch_size:]
        batch = np.sort(batch)
        inputs = to_input(x[batch]), vectors[batch], row
        with torch.no_grad():
            target = functional.log_softmax(logits_of(teacher, *inputs).flatten(0, 1), dim=1)
        said = functional.log_softmax(logits_of(student, *inputs).flatten(0, 1), dim=1)
        loss = functional.kl_div(said, target, reduction="batchmean", log_target=True)
        if not math.isfinite(loss.item()):
            raise InnervateError(
                "the loss of quantization-aware training is no longer finite", f"step {step}", "Use --ptq"
            )
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % REPORT_EVERY == 0 or step + 1 == steps:
            report("qat", step + 1, steps)
    student.eval()
