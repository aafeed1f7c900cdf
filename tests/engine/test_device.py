"""Devices: found, or refused in one line."""

from __future__ import annotations

import pytest
import torch

from lrbench.engine.device import default_threads, describe, open_device
from lrbench.engine.precision import apply_precision, autocast
from lrbench.errors import MachineError, UsageError

CPU = torch.device("cpu")


def test_auto_is_cuda_where_there_is_one() -> None:
    assert open_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_no_cuda_is_said_with_a_remedy() -> None:
    with pytest.raises(MachineError, match=r"sees no CUDA device.*--device cpu"):
        open_device("cuda")


def test_mps_is_refused() -> None:
    with pytest.raises(MachineError, match="mps is not supported"):
        open_device("mps")


def test_tf32_needs_cuda() -> None:
    with pytest.raises(UsageError, match="--precision tf32"):
        apply_precision(CPU, "tf32")


def test_bf16_computes_in_bf16_and_fp32_does_not() -> None:
    layer, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
    with autocast(CPU, "bf16"):
        assert layer(x).dtype is torch.bfloat16
    with autocast(CPU, "fp32"):
        assert layer(x).dtype is torch.float32


def test_a_record_says_on_what_its_bits_depend() -> None:
    facts = describe(CPU, default_threads())
    assert facts["device"] == "cpu" and facts["threads"] >= 1
    assert facts["torch"] == torch.__version__
