"""Where and how to run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from lrbench.experiment.option import Opt
from lrbench.experiment.values import Positive, duration_s

Count = Annotated[int, Field(ge=1, lt=2**31)]
Cores = Annotated[int, Field(ge=1, le=1024)]


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise ValueError("choose auto, cpu, cuda or cuda:N")
    return name


@dataclass(frozen=True)
class Host:
    """Where and how to run, and where the data lies; none of it changes what a trial means.

    `threads` are those of one trial; None shares the cores among `jobs` parallel trials.
    `deterministic` asks a CUDA device for the same bits each time; `graph` replays captured
    steps, those of `at_once` trials together; None lets a probe choose how many.
    """

    # fmt: off
    device: Annotated[str, AfterValidator(_device), Opt(
        "--device", "auto, cpu, cuda or cuda:N.", common=True
    )] = "auto"
    threads: Annotated[Cores | None, Opt(
        "--threads", "CPU threads of a trial; all cores by default."
    )] = None
    data_dir: Annotated[Path | None, AfterValidator(lambda path: path and path.expanduser()), Opt(
        "--data-dir", "Where datasets lie, or are downloaded to; or set LRBENCH_DATA_DIR.",
        panel="Data"
    )] = None
    download: Annotated[bool, Opt(
        "--download/--no-download", "Fetch the dataset if it is missing.", panel="Data"
    )] = False
    record_steps: Annotated[bool, Opt(
        "--record-steps/--no-record-steps", "Write steps.csv: LR and loss of each step.",
        panel="Comparison", command="compare"
    )] = False
    executor: Annotated[str, Opt(
        "--executor", "Where trials run: {choices}.", command="compare",
        choices="lrbench.execute:EXECUTORS"
    )] = "serial"
    jobs: Annotated[Cores, Opt(
        "--jobs -j", "Parallel trials, in processes of their own (--executor pool).",
        command="compare"
    )] = 1
    trial_timeout_s: Annotated[Positive | None, Opt(
        "--trial-timeout", "Give a trial up after this long, like 10m: it has failed.",
        command="compare", kind=object, parse=duration_s
    )] = None
    max_failures: Annotated[Count | None, Opt(
        "--max-failures", "Stop after this many failed trials.", command="compare"
    )] = None
    retry_failed: Annotated[bool, Opt(
        "--retry-failed", "Train failed trials again.", command="compare", once=True
    )] = False
    force: Annotated[bool, Opt(
        "--force", "Go on with a run that was begun with other threads, torch or device.",
        command="compare", once=True
    )] = False
    deterministic: Annotated[bool, Opt(
        "--deterministic/--no-deterministic", "The same bits each time on a CUDA device, slower; a "
        "CPU gives them anyway."
    )] = False
    graph: Annotated[bool, Opt(
        "--graph/--no-graph", "Replay training steps as a CUDA graph; off, as no GPU has measured "
        "it yet.", command="compare"
    )] = False
    at_once: Annotated[Annotated[int, Field(ge=1, le=64)] | None, Opt(
        "--at-once", "Trials that share one graph; with --graph, a probe chooses by default.",
        command="compare"
    )] = 1
    # fmt: on
