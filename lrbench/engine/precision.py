"""The arithmetic of a trial: fp32, tf32 or bf16."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from lrbench.errors import UsageError

if TYPE_CHECKING:
    import torch


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """A context for forward passes: autocast to bf16, or none for fp32 and tf32."""
    import torch

    if precision != "bf16" and not torch.is_autocast_enabled(device.type):
        return nullcontext()  # autocast costs time in the steps of a small network
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def apply_precision(device: torch.device, precision: str) -> None:
    """Allow or forbid TensorFloat-32 in matrix products and convolutions, for the process.

    Raises:
        UsageError: the device has no tf32.
    """
    import torch

    if precision == "tf32" and device.type != "cuda":
        raise UsageError("--precision tf32 needs a CUDA device", hint="use fp32 or bf16")
    with warnings.catch_warnings():  # torch 2.9 warns of newer names
        warnings.filterwarnings("ignore", message="Please use the new API settings")
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        if device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = precision == "tf32"
