"""Devices: found, or refused in one line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from lrbench.engine.device import (
    BRIEFLY,
    DeviceLost,
    apply_precision,
    autocast,
    check_device,
    device_at,
    forget_peak_memory,
    make_deterministic,
    open_device,
    peak_memory,
    wait_briefly,
)
from lrbench.engine.train import begin, train
from lrbench.errors import MachineError, UsageError
from lrbench.execute import Host, Workbench
from lrbench.options import Recipe, TrialSpec
from tests.toys import Line, trial

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cuda", r"sees no CUDA device.*--device cpu"),
        ("mps", "mps is not supported"),
    ],
)
def test_a_missing_device_is_refused_with_a_remedy(
    name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MachineError, match=message):
        open_device(name)
    assert open_device("auto").type == "cpu"


def test_tf32_needs_cuda() -> None:
    with pytest.raises(UsageError, match="--precision tf32"):
        apply_precision(CPU, "tf32")


def test_bf16_computes_in_bf16_and_fp32_does_not() -> None:
    layer, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
    with autocast(CPU, "bf16"):
        assert layer(x).dtype is torch.bfloat16
    with autocast(CPU, "fp32"):
        assert layer(x).dtype is torch.float32


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


@pytest.fixture
def no_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BRIEFLY:
        monkeypatch.setenv(name, "")  # so that it is put back, whatever the test leaves
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("no_policy")
def test_whoever_chose_a_policy_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wait_briefly()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE" and "GOMP_SPINCOUNT" not in os.environ


@pytest.mark.usefixtures("no_policy")
def test_child_processes_get_it() -> None:
    wait_briefly()
    show = "import os; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"
    child = subprocess.run([sys.executable, "-c", show], capture_output=True, check=True)
    assert child.stdout.split() == [b"1000", b"PASSIVE"]


def test_the_peak_memory_of_a_cpu_is_that_of_the_process() -> None:
    forget_peak_memory(CPU)
    before = peak_memory(CPU)
    held = bytearray(b"x" * 200_000_000)
    assert peak_memory(CPU) - before > 0.9 * len(held)
    del held
    forget_peak_memory(CPU)
    assert peak_memory(CPU) < before + 100_000_000 or sys.platform != "linux"
    (*_, end) = train(Line(), begin(Line(), trial(epochs=1)))
    assert end.peak_mem_bytes > 10_000_000


def test_workers_take_several_gpus_in_turn_unless_one_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert [device_at(place, "cuda") for place in range(4)] == [
        "cuda:0", "cuda:1", "cuda:2", "cuda:0",
    ]  # fmt: skip
    assert device_at(2, "cuda:1") == "cuda:1"
    assert device_at(2, "cpu") == "cpu"
