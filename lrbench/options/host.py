"""Where and how to run."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.dataclasses import dataclass

from lrbench.options.option import Opt
from lrbench.options.values import Duration

Count = Annotated[int, Field(ge=1, lt=2**31)]
Cores = Annotated[int, Field(ge=1, le=1024)]
ONE_JOB = "choose a number of at least 1, or auto"


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise ValueError("choose auto, cpu, cuda or cuda:N")
    return name


def _jobs(value: object) -> int:
    """0 stands for `auto`, resolved where the trials run."""
    if value != "auto" and not str(value).isdecimal():
        raise ValueError(ONE_JOB)
    return 0 if value == "auto" else int(str(value))


def _shard(text: str | tuple[int, int]) -> tuple[int, int]:
    if not isinstance(text, str):
        return text
    found = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text, re.ASCII)
    if not found or not int(found[1]) <= int(found[2]) or int(found[2]) < 1:
        raise ValueError("write I/N, such as 2/8, with I from 0 to N")
    return int(found[1]), int(found[2])


@dataclass(frozen=True)
class Host:
    """Where and how to run, and where the data is; none of this changes what a trial means.

    `threads` is per trial; None divides the cores among `jobs` parallel trials. The executor `auto`
    runs CPU trials in parallel, with one thread each. `deterministic` makes a CUDA device produce
    the same bits each time. `graph` replays captured steps, of `at_once` trials together; if that
    is None, a probe chooses the number.
    """

    # fmt: off
    device: Annotated[str, AfterValidator(_device), Opt(
        "--device", "auto, cpu, cuda or cuda:N.", common=True
    )] = "auto"
    threads: Annotated[Cores | None, Opt(
        "--threads", "CPU threads per trial; by default one if trials run in parallel, else all "
        "cores."
    )] = None
    data_dir: Annotated[Path | None, AfterValidator(lambda path: path and path.expanduser()), Opt(
        "--data-dir", "Folder for datasets and downloads; or set LRBENCH_DATA_DIR.",
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
    )] = "auto"
    address: Annotated[str, Opt(
        "--address", "For --executor ray: HOST:PORT of a cluster, local to start one on this "
        "machine, or auto: the one running here, else local.", command="compare"
    )] = "auto"
    jobs: Annotated[int, BeforeValidator(_jobs), Field(le=4096), Opt(
        "--jobs -j", "Trials to run in parallel, each in its own process; auto: one per core "
        "(with CUDA, per GPU), or as many as fit on a Ray cluster.",
        command="compare", kind=object, default="auto"
    )] = 1
    shard: Annotated[Annotated[tuple[int, int], BeforeValidator(_shard)] | None, Opt(
        "--shard", "Train only shard I of N of the final trials, such as 2/8, in its own folder; "
        "0/8 only tunes. lrbench report merges shards.", command="compare", kind=str
    )] = None
    trial_timeout_s: Annotated[Duration | None, Opt(
        "--trial-timeout", "Fail a trial that takes longer than this, such as 10m.",
        command="compare", kind=object
    )] = None
    max_failures: Annotated[Count | None, Opt(
        "--max-failures", "Stop after this many failed trials.", command="compare"
    )] = None
    retry_failed: Annotated[bool, Opt(
        "--retry-failed", "Train failed trials again.", command="compare", once=True
    )] = False
    force: Annotated[bool, Opt(
        "--force", "Continue a run even if its threads, torch or device differ.",
        command="compare", once=True
    )] = False
    deterministic: Annotated[bool, Opt(
        "--deterministic/--no-deterministic", "Reproducible results on CUDA, at lower speed; "
        "CPU results always are."
    )] = False
    graph: Annotated[bool, Opt(
        "--graph/--no-graph", "Replay training steps as a CUDA graph; off by default, not yet "
        "measured on a GPU.", command="compare"
    )] = False
    at_once: Annotated[Annotated[int, Field(ge=1, le=64)] | None, Opt(
        "--at-once", "Trials that share one graph; with --graph, a probe chooses by default.",
        command="compare"
    )] = 1
    # fmt: on
