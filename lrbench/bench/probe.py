"""The first three minutes on a new device: what an operation costs, what a captured graph and
several trials side by side gain, and whether a captured step still hears its learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from lrbench.bench.apart import matmul_flops
from lrbench.bench.program import Program
from lrbench.bench.worker import torch_sync
from lrbench.engine.repeat import WARM_UP, Work, abreast, in_turn, repeated, seconds_each
from lrbench.experiment import Recipe

if TYPE_CHECKING:
    import torch

NEEDS_CUDA = "needs a CUDA device"
DIGITS, COLOURS = (1, 28, 28), (3, 32, 32)
VIEWS = frozenset(
    f"aten::{name}"
    for name in ("view", "as_strided", "t", "transpose", "permute", "expand", "detach", "slice",
                 "select", "unsqueeze", "squeeze", "_unsafe_view", "empty", "empty_like",
                 "empty_strided", "alias", "_reshape_alias")
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One line of the probe."""

    name: str
    value: float | None
    unit: str
    note: str = ""


@dataclass(frozen=True)
class Size:
    """How much is measured: `span_s` seconds a figure, batches, trials side by side."""

    span_s: float
    batch: int
    large_batch: int
    copies: tuple[int, ...]
    channels: int
    matrix: int


FULL = Size(2.0, 128, 512, (2, 4, 8, 16), 64, 8192)
SMALL = Size(0.05, 8, 8, (2,), 8, 128)


def probe(device_name: str, *, small: bool, threads: int = 1) -> Iterator[Finding]:
    """Measure one finding after the other; `small` only shows that everything runs."""
    from lrbench.engine.device import open_device, set_threads

    set_threads(threads)
    device, size = open_device(device_name), SMALL if small else FULL
    for model, shape in (("lenet", DIGITS), ("resnet8", COLOURS)):
        yield from _steps(model, shape, device, size)
    yield from _learning_rate(device, size)
    yield from _large(device, size)
    yield from _convolutions(device, size)


def seconds(work: Work, device: torch.device, span_s: float) -> float:
    """Seconds a call, over at least `span_s` of them."""
    return seconds_each(work, partial(torch_sync, device), span_s)


def _steps(
    model: str, shape: tuple[int, int, int], device: torch.device, size: Size
) -> Iterator[Finding]:
    """Eager against captured, and several trials in one graph against one."""
    recipe = Recipe(model=model, batch_size=size.batch)
    program = Program(recipe, shape, device)
    count = operations(program)
    eager = seconds(program, device, size.span_s)
    yield Finding(f"{model}: operations of a step", count, "", "views left out")
    yield Finding(f"{model}: eager step", 1e6 * eager, "µs")
    yield Finding(f"{model}: eager, an operation", 1e6 * eager / count, "µs")
    captured = seconds(repeated(program, device), device, size.span_s)
    on_cuda = device.type == "cuda"
    yield _only(on_cuda, f"{model}: replayed step", 1e6 * captured, "µs")
    yield _only(on_cuda, f"{model}: replayed, an operation", 1e6 * captured / count, "µs")
    yield _only(on_cuda, f"{model}: graph over eager", eager / captured, "×")
    for copies in size.copies:
        programs = [Program(recipe, shape, device, seed) for seed in range(copies)]
        for one in programs:
            repeated(one, device)
        together = seconds(repeated(abreast(programs, device), device), device, size.span_s)
        gain = copies * captured / together
        yield _only(on_cuda, f"{model}: {copies} trials in a graph over one", gain, "×")


def _learning_rate(device: torch.device, size: Size) -> Iterator[Finding]:
    """Whether the step that is repeated hears a new learning rate, to the last bit."""
    recipe = Recipe(batch_size=size.batch)
    plain, program = (Program(recipe, DIGITS, device) for _ in range(2))
    step = repeated(program, device)
    # a capture records a step without doing it
    for _ in range(WARM_UP):
        plain()
    for lr in (0.02, 0.0, 0.005):
        plain.lr.fill_(lr)
        program.lr.fill_(lr)
        plain()
        step()
    pairs = zip(plain.model.parameters(), program.model.parameters(), strict=True)
    worst = max((a - b).detach().abs().max().item() for a, b in pairs)
    yield Finding("learning rate changed in a repeated step: largest difference", worst, "")


def _large(device: torch.device, size: Size) -> Iterator[Finding]:
    """ResNet-18 in bf16 against the matrix products of this device."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    recipe = Recipe(model="resnet18", batch_size=size.large_batch, precision="bf16")
    program = Program(recipe, COLOURS, device)
    with FlopCounterMode(display=False) as counter:
        program()
    flops = counter.get_total_flops()
    step_s = seconds(repeated(program, device), device, size.span_s)
    yield Finding("resnet18 bf16: images a second", size.large_batch / step_s, "img/s")
    limit = matmul_flops(device, torch.bfloat16, size.matrix)
    yield Finding("bf16 matrix product", limit / 1e12, "TFLOP/s")
    yield _only(device.type == "cuda", "resnet18 bf16: of it", 100 * flops / step_s / limit, "%")


def _convolutions(device: torch.device, size: Size) -> Iterator[Finding]:
    """K convolutions with their gradients: one after the other, on streams, as one grouped."""
    for copies in [n for n in size.copies if n <= 8]:
        single = [_convolution(size, device) for _ in range(copies)]
        one_by_one = seconds(in_turn(single), device, size.span_s)
        streams = seconds(abreast(single, device), device, size.span_s)
        grouped = seconds(_convolution(size, device, copies), device, size.span_s)
        yield _only(
            device.type == "cuda", f"{copies} convolutions: streams", one_by_one / streams, "×"
        )
        yield Finding(f"{copies} convolutions: grouped", one_by_one / grouped, "×")


def _convolution(size: Size, device: torch.device, groups: int = 1) -> Work:
    import torch

    channels = size.channels * groups
    layer = torch.nn.Conv2d(channels, channels, 3, padding=1, groups=groups).to(device)
    images = torch.randn(size.batch, channels, 16, 16, device=device, requires_grad=True)

    def work() -> None:
        layer.zero_grad()
        layer(images).sum().backward()

    return work


def operations(work: Callable[[], Any]) -> int:
    """How many operations torch dispatches for it, views and empty memory left out."""
    from torch.utils._python_dispatch import TorchDispatchMode

    count = 0

    class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            nonlocal count
            count += function.name().split(".")[0] not in VIEWS
            return function(*args, **(kwargs or {}))

    with Counter():  # type: ignore[no-untyped-call]
        work()
    return count


def _only(here: bool, name: str, value: float, unit: str) -> Finding:
    return Finding(name, value, unit) if here else Finding(name, None, unit, NEEDS_CUDA)
