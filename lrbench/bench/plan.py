"""What is measured: a workload, the loops that run it, and the switches of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lrbench.engine.compiling import missing_compiler
from lrbench.experiment import Recipe

Loop = Literal["reference", "tuned", "alone", "engine"]
WORKERS = (0, 2, 4, 8)
QUICK_WORKERS = (0, 2)


@dataclass(frozen=True)
class Workload:
    """What every loop trains: `images` training images an epoch at most, on one device."""

    recipe: Recipe
    device: str
    threads: int
    images: int
    data_dir: Path | None = None


@dataclass(frozen=True)
class Contender:
    """One loop as it runs in processes of its own: `copies` of them, each with `threads`.

    `against` names the contender that it is compared with; `why_not` says why it does not run.
    """

    name: str
    loop: Loop
    threads: int
    workers: int = 0
    copies: int = 1
    precision: str = "fp32"
    channels_last: bool = True
    compiled: bool = False
    graph: int = 0  # places of a captured graph
    against: str = ""
    why_not: str = ""


def loops(work: Workload, *, quick: bool) -> list[Contender]:
    """The reference loop with several numbers of workers, the tuned one, steps without any
    loading, and the engine."""
    plain = Contender("", "engine", work.threads, precision=work.recipe.precision)
    workers = QUICK_WORKERS if quick else WORKERS
    return [
        *(replace(plain, name=f"reference, {n} workers", loop="reference", workers=n)
          for n in workers),
        *(replace(plain, name=f"tuned, {n} workers", loop="tuned", workers=n) for n in (0, 2)),
        replace(plain, name="steps alone", loop="alone"),
        replace(plain, name="engine"),
    ]  # fmt: skip


def switches(work: Workload, *, quick: bool) -> Iterator[Contender]:
    """The engine with one thing changed at a time."""
    plain = Contender(
        "engine", "engine", work.threads, precision=work.recipe.precision, against="engine"
    )
    cuda = work.device.startswith("cuda")
    yield replace(plain, name="channels_last off", channels_last=False)
    bf16 = "the workload is bf16 already" if plain.precision == "bf16" else ""
    yield replace(plain, name="bf16", precision="bf16", why_not=bf16)
    yield replace(plain, name="compiled", compiled=True, why_not=_no_compiler(cuda, quick))
    graph = "" if cuda else "needs a CUDA device"
    yield replace(plain, name="CUDA graph", graph=1, why_not=graph)
    for places in (2, 4, 8) if cuda else (4,):
        yield replace(plain, name=f"{places} trials in a graph", graph=places, why_not=graph)
    for copies in (2, 4) if cuda else (2,):
        short = "" if cuda or work.threads >= copies else f"needs --threads {copies} or more"
        yield replace(
            plain,
            name=f"{copies} trials at once",
            copies=copies,
            threads=max(1, work.threads // copies),
            why_not=short,
        )


def _no_compiler(cuda: bool, quick: bool) -> str:
    if quick:
        return "left out by --quick"
    return missing_compiler(on_cuda=cuda)
