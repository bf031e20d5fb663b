"""Post-training quantization: activation scales and bias correction from windows the network has seen."""

import warnings

import torch
from torch import nn

with warnings.catch_warnings():
    # What Brevitas says of its own parts on import: nothing here uses brevitas.fx or Hadamard rotations.
    warnings.filterwarnings("ignore", "brevitas.fx is deprecated", DeprecationWarning)
    warnings.filterwarnings("ignore", "fast_hadamard_transform package not found", UserWarning)
    from brevitas.graph.calibrate import bias_correction_mode, calibration_mode


def calibrate(model: nn.Module, windows: torch.Tensor, batch: int = 512) -> None:
    """Set a `QuantNetwork`'s activation scales to a percentile of what they see, then correct its biases.

    Args:
        model: network of float weights and unset activation scales; left in evaluation mode.
        windows: float32 [N, C, H, W]; a thousand or more, of the training set only.
        batch: windows a step; the percentile is averaged over the steps.
    """
    model.eval()
    with torch.no_grad():
        with calibration_mode(model):
            for part in windows.split(batch):
                model(part)
        with bias_correction_mode(model):
            for part in windows.split(batch):
                model(part)
    model.eval()
