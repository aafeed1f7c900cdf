"""Devices: found, or refused in one line."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from lrbench.engine import device as devices
from lrbench.engine.device import make_deterministic, peak_memory, wait_briefly
from lrbench.errors import MachineError, UsageError
from lrbench.execute import Host, Workbench
from lrbench.options import Recipe, TrialSpec
from tests.engine.tools import CPU, on_cuda, records, timeless
from tests.toys import Line, trial


@pytest.mark.parametrize(
    ("name", "message"),
    [("cuda", r"sees no CUDA device.*--device cpu"), ("mps", "mps is not supported")],
)
def test_a_missing_device_is_refused_with_a_remedy(
    name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MachineError, match=message):
        devices.open_device(name)
    assert devices.open_device("auto").type == "cpu"


def test_tf32_needs_cuda() -> None:
    with pytest.raises(UsageError, match="--precision tf32"):
        devices.apply_precision(CPU, "tf32")


def test_a_gpu_is_lost_where_waiting_for_it_fails_not_where_its_memory_cannot_be_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("captures_underway.empty() INTERNAL ASSERT FAILED\nmore")

    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", refused)
    devices.check_device(torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "synchronize", refused)
    with pytest.raises(devices.DeviceLost, match=r"lost its GPU: captures_.* FAILED; repeat"):
        devices.check_device(torch.device("cuda"))


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


@on_cuda
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
        return {spec.id: timeless(records(bench.tuning_task, spec)) for spec in order}

    assert found(trials) == found(trials[::-1])


def test_child_processes_wait_briefly_unless_a_policy_was_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in devices.BRIEFLY:
        monkeypatch.setenv(name, "")  # so that it is put back, whatever the test leaves
        monkeypatch.delenv(name)
    show = "import os; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"
    wait_briefly()
    child = subprocess.run([sys.executable, "-c", show], capture_output=True, check=True)
    assert child.stdout.split() == [b"1000", b"PASSIVE"]
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wait_briefly()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE" and "GOMP_SPINCOUNT" not in os.environ


def test_the_peak_memory_of_a_cpu_is_that_of_the_process() -> None:
    devices.forget_peak_memory(CPU)
    before = peak_memory(CPU)
    held = bytearray(b"x" * 200_000_000)
    assert peak_memory(CPU) - before > 0.9 * len(held)
    del held
    devices.forget_peak_memory(CPU)
    assert peak_memory(CPU) < before + 100_000_000 or sys.platform != "linux"
    assert records(Line(), trial(epochs=1))[-1].peak_mem_bytes > 10_000_000


def test_workers_take_several_gpus_in_turn_unless_one_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    named = [(0, "cuda"), (1, "cuda"), (3, "cuda"), (2, "cuda:1"), (2, "cpu")]
    found = [devices.device_at(place, name) for place, name in named]
    assert found == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cpu"]
