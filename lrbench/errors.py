"""All errors and all topics of warnings, in two short lists."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


def printable(text: str, instead: str = "�") -> str:
    """The text without characters that would move a terminal's cursor, colour it, or reverse its
    direction."""
    return "".join(c if c.isprintable() else instead for c in text)


class LrbenchError(Exception):
    """An error that the user can act on: what is wrong, and what to do about it.

    `exit_code` is that of the command line: 1 a trial failed or no answer could be defended, 2
    usage, 3 the machine or its files, 4 a condition that the user set.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(LrbenchError, ValueError):
    """An invalid option, spec, name or argument."""

    exit_code = 2


class MachineError(LrbenchError):
    """A missing or damaged dataset, a missing device, a full disk, a run in use."""

    exit_code = 3


class ConditionHolds(LrbenchError):
    """A condition of `--fail-below` or `--fail-if-worse-than` is met."""

    exit_code = 4


class Terminated(BaseException):
    """SIGTERM arrived."""


# Exceptions that end a command through no fault of the code they interrupt.
STOPS = (KeyboardInterrupt, GeneratorExit, Terminated)


class NoLearningRate(LrbenchError):
    """The range test found no learning rate it could defend."""


# An option in a message; pip's options are not ours.
_OPTION = re.compile(r"(?<![\w-])(?<!install )--([a-z]+(?:-[a-z]+)*)")


@contextmanager
def named_as_in_python() -> Iterator[None]:
    """Wraps a call from Python: errors name its parameters instead of command-line options."""
    try:
        yield
    except LrbenchError as fault:
        fault.message, fault.hint = map(in_python, (fault.message, fault.hint))
        fault.args = (fault.message,)
        raise


def in_python(text: str) -> str:
    """The text with Python's keywords in place of command-line options.

    >>> in_python("--batch-size 0: must be at least 1")
    'batch_size 0: must be at least 1'
    """
    return _OPTION.sub(lambda found: keyword(found[1].replace("-", "_")), text)


def keyword(key: str) -> str:
    """The Python name of an option: Python takes a list of schedules where the command line repeats
    `--schedule`."""
    return "schedules" if key == "schedule" else key


class Topic(StrEnum):
    """What a notice is about."""

    UNFINISHED_DECAY = "unfinished-decay"
    ENDS_AT_MAXIMUM = "ends-at-maximum"
    ENDS_INSIDE_CYCLE = "ends-inside-cycle"
    MILESTONE_NOT_REACHED = "milestone-not-reached"
    WARMUP_TOO_LONG = "warmup-too-long"
    PLATEAU_CANNOT_FIRE = "plateau-cannot-fire"
    EARLY_STOP = "early-stop"
    STRETCHED = "stretched"
    EDGE_OF_GRID = "edge-of-grid"
    FEW_SEEDS = "few-seeds"
    TRIALS_FAILED = "trials-failed"
    TOO_SHORT = "too-short"
    SHARD = "shard"
    LUCKY_LR = "lucky-lr"
    OTHER_MACHINE = "other-machine"
    NOISY_THROUGHPUT = "noisy-throughput"
    PLUGIN_BROKEN = "plugin-broken"
    OTHER = "other"


@dataclass(frozen=True)
class Notice:
    """A warning: what was seen, and what to do about it. `about` holds each schedule whose best LR
    lies at an edge of its grid, with that edge (low or high), or the budget and batch size of a
    ranking."""

    topic: Topic
    message: str
    remedy: str = ""
    about: tuple[tuple[Any, Any], ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}" if self.remedy else self.message
