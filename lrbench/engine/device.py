"""Where a training runs: device, precision, threads, compiler."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.errors import MachineError, UsageError

if TYPE_CHECKING:
    import torch

# How long torch's CPU threads spin while waiting for each other before they sleep. By default
# libgomp spins for milliseconds, which makes steps up to ten times as long next to another
# training; sleeping immediately costs LeNet a quarter of its speed on an idle machine. A thousand
# spins are close to optimal in both cases: see `benchmarks/tables/cpu.md`. GOMP_SPINCOUNT
# overrides the policy, which other OpenMP runtimes read.
BRIEFLY = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}


def wait_briefly() -> None:
    """Set the environment of this process and its children, unless the user has set one of the
    variables. Must be called before torch is imported."""
    if not BRIEFLY.keys() & os.environ.keys():
        os.environ.update(BRIEFLY)


def open_device(name: str) -> torch.device:
    """The torch device for `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        MachineError: this machine, or this torch, has no such device.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "mps":
        raise MachineError("--device mps is not supported", hint="use --device cpu")
    if name.startswith("cuda"):
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not there:
            raise MachineError(
                f"--device {name}: torch {torch.__version__} sees no CUDA device here",
                hint="use --device cpu",
            )
        if int(name.partition(":")[2] or 0) >= there:
            raise MachineError(f"--device {name}: this machine has {there} CUDA device(s)")
    return torch.device(name)


def number_of(device: torch.device) -> int:
    """The number of GPUs that `cuda` without a number stands for; 1 for any other device."""
    import torch

    return torch.cuda.device_count() if str(device) == "cuda" else 1


def device_at(place: int, name: str) -> str:
    """The device of the worker at `place`; workers take GPUs in turn."""
    import torch

    count = number_of(torch.device(name))
    return f"{name}:{place % count}" if count > 1 else name


def missing_compiler(*, on_cuda: bool) -> str:
    """What torch.compile lacks on this machine; empty if nothing."""
    if on_cuda and find_spec("triton") is None:
        return "needs triton"
    if not any(map(shutil.which, (os.environ.get("CXX", "c++"), "c++", "g++", "clang++"))):
        return "needs a C++ compiler"
    return ""


class DeviceLost(MachineError):
    """The process can no longer use its device."""


def check_device(device: torch.device) -> None:
    """Check whether a GPU is still usable after a fault. Running out of memory is harmless, but
    after an illegal access every later call in the process fails too.

    Raises:
        DeviceLost: the GPU is not usable.
    """
    import torch

    if device.type != "cuda":
        return
    try:
        torch.cuda.synchronize(device)
    except RuntimeError as fault:
        raise DeviceLost(
            f"this process has lost its GPU: {str(fault).splitlines()[0]}",
            hint="repeat the command to continue in a new process, or use --executor pool",
        ) from None
    with suppress(RuntimeError):  # refused after a failed capture, harmlessly
        torch.cuda.empty_cache()


def default_threads() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """A context for forward passes: autocast to bf16; a no-op for fp32 and tf32."""
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
    with warnings.catch_warnings():  # torch 2.9 warns about newer names
        warnings.filterwarnings("ignore", message="Please use the new API settings")
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        if device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = precision == "tf32"


def make_deterministic(device: torch.device) -> None:
    """Use only deterministic kernels on CUDA for the rest of the process; an operation without one
    raises an error. On a CPU, torch's kernels are deterministic for a fixed number of threads."""
    import torch

    if device.type != "cuda":
        return
    # cuBLAS reads this on first use, also in child processes
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def describe(device: torch.device, threads: int, **switches: bool | int) -> dict[str, Any]:
    """What the bits of a result depend on: device, threads, versions, and the engine's switches."""
    import torch
    import torchvision

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": device.type,
        "device_name": name,
        "threads": threads,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "platform": platform.system().lower(),
        **switches,
    }


def forget_peak_memory(device: torch.device) -> None:
    """Reset `peak_memory`. On a CPU, it counts from the start of the process if the system has no
    way to reset it."""
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """Peak memory so far, in bytes: allocated on the device or, on a CPU, of the whole process."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
