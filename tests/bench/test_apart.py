"""What is timed apart: counted operations, the matrix product, a process that fails."""

from __future__ import annotations

import pytest
import torch

from lrbench.bench.apart import flops_per_image, hand_grid, in_process, matmul_flops
from lrbench.bench.plan import Workload
from lrbench.errors import MachineError
from lrbench.experiment import Recipe

CPU = torch.device("cpu")


def test_lenets_operations_are_those_of_its_layers() -> None:
    """Two for a multiply-add; three passes (forward, weights, inputs), but no input gradient of
    the images."""
    first, second = 28 * 28 * 16 * 25, 10 * 10 * 32 * 16 * 25
    linear = 800 * 84 + 84 * 10
    work = Workload(Recipe(), "cpu", 1, 256)
    assert flops_per_image(work, CPU) == 2 * (3 * (first + second + linear) - first)


def test_a_matrix_product_is_timed() -> None:
    assert 1e7 < matmul_flops(CPU, torch.float32, 128, tries=2) < 1e14


def test_a_process_that_fails_is_one_line() -> None:
    work = Workload(Recipe(dataset="nowhere"), "cpu", 1, 256)
    with pytest.raises(MachineError, match=r"^bench: by hand: UsageError: --dataset: unknown"):
        in_process("by hand", hand_grid, work, 0, 1)
