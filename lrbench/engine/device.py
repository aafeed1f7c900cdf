"""Where a training runs: the device, its threads, and their description in records."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lrbench.errors import MachineError

if TYPE_CHECKING:
    import torch


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
        index = int(name.partition(":")[2] or 0)
        if not torch.cuda.is_available():
            raise MachineError(
                f"--device {name}: torch {torch.__version__} sees no CUDA device here",
                hint="use --device cpu",
            )
        if index >= torch.cuda.device_count():
            raise MachineError(
                f"--device {name}: this machine has {torch.cuda.device_count()} CUDA device(s)"
            )
    return torch.device(name)


class DeviceLost(MachineError):
    """This process can no longer use its device."""


def check_device(device: torch.device) -> None:
    """After a fault on a GPU: is it still there? Out of memory is no harm, but after an illegal
    access every later call of the process fails as well.

    Raises:
        DeviceLost: it is not.
    """
    import torch

    if device.type != "cuda":
        return
    try:
        torch.cuda.synchronize(device)
    except RuntimeError as fault:
        raise DeviceLost(
            f"this process has lost its GPU: {str(fault).splitlines()[0]}",
            hint="the same command goes on in a new process, or use --executor pool",
        ) from None
    with suppress(RuntimeError):  # refused after a capture that failed, and all else works
        torch.cuda.empty_cache()


def default_threads() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(threads: int) -> None:
    """Fix the threads of torch's operators: on a CPU their number changes the last bits."""
    import torch

    torch.set_num_threads(threads)


def make_deterministic(device: torch.device) -> None:
    """For the rest of the process: on CUDA nothing but kernels that give the same bits each time,
    an error where there is none, and no trying out of algorithms. On a CPU with as many threads
    torch's kernels do so by themselves, and nothing is switched."""
    import torch

    if device.type != "cuda":
        return
    # read when cuBLAS is first used, and by the processes that this one starts
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def describe(device: torch.device, threads: int, **switches: bool | int) -> dict[str, Any]:
    """Device kind and name, threads, versions, and the engine's switches by name: what the bits of
    a result depend on."""
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
