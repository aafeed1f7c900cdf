"""Devices: found, or refused in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from lrbench.engine.device import (
    DeviceLost,
    apply_precision,
    autocast,
    check_device,
    default_threads,
    describe,
    make_deterministic,
    open_device,
)
from lrbench.engine.train import begin, train
from lrbench.errors import MachineError, UsageError
from lrbench.execute import Host, Workbench
from lrbench.experiment import Recipe, TrialSpec

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


def test_a_gpu_is_lost_where_waiting_for_it_fails_not_where_its_memory_cannot_be_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("captures_underway.empty() INTERNAL ASSERT FAILED\nmore")

    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", refused)
    check_device(torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "synchronize", refused)
    with pytest.raises(DeviceLost, match=r"lost its GPU: captures_underway.* FAILED; the same"):
        check_device(torch.device("cuda"))


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process's switches are put back."""
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.benchmark
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    yield
    torch.use_deterministic_algorithms(before[0])
    cudnn.deterministic, cudnn.benchmark = before[1:]


@pytest.mark.usefixtures("as_before")
def test_deterministic_switches_what_torch_says_a_gpu_needs_and_nothing_on_a_cpu() -> None:
    """https://docs.pytorch.org/docs/stable/notes/randomness.html"""
    make_deterministic(CPU)
    assert not torch.are_deterministic_algorithms_enabled()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    make_deterministic(torch.device("cuda"))
    assert torch.are_deterministic_algorithms_enabled() and torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] in (":4096:8", ":16:8")


def test_deterministic_is_recorded() -> None:
    benches = [Workbench(Recipe(), Host(device="cpu", deterministic=on)) for on in (True, False)]
    assert [bench.machine["deterministic"] for bench in benches] == [True, False]
    assert benches[0].facts()["machine"]["deterministic"] is True


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_on_cuda_deterministic_gives_the_same_bits_alone_and_in_another_order(
    precision: str,
) -> None:
    recipe = Recipe(model="resnet8", precision=precision, batch_size=64)
    bench = Workbench(recipe, Host(device="cuda", deterministic=True))
    trials = [
        TrialSpec(recipe=recipe, schedule="cosine", lr=0.05, seed=seed, stage="tune", epochs=1)
        for seed in range(2)
    ]

    def found(order: list[TrialSpec]) -> dict[str, list[object]]:
        task = bench.tuning_task
        return {
            spec.id: [replace(r, train_s=0, throughput_img_s=0, **memory(r))
                      for r in train(task, begin(task, spec))]
            for spec in order
        }  # fmt: skip

    assert found(trials) == found(trials[::-1])


def memory(record: object) -> dict[str, None]:
    return {"peak_mem_bytes": None} if hasattr(record, "peak_mem_bytes") else {}
