"""A benchmark from its workload to its result."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace

from lrbench.bench.apart import compute, grid, in_process
from lrbench.bench.figures import images_s
from lrbench.bench.measure import entered, interleaved
from lrbench.bench.plan import Workload, loops, switches
from lrbench.bench.result import Result, line_of
from lrbench.errors import MachineError, UsageError

ROUND_S, QUICK_ROUND_S = 2.0, 0.5


def run(work: Workload, *, rounds: int, quick: bool, say: Callable[[str], None]) -> Result:
    """Time every loop and every switch of the engine in interleaved rounds, and what no round
    shows.

    Raises:
        MachineError: the engine or the reference loop cannot run, or a process died.
    """
    result = raced(work, rounds=rounds, quick=quick, say=say)
    engine = next(line for line in result.lines if line.name == "engine")
    say("counting operations")
    counted = in_process("counting operations", compute, work, images_s(engine.rounds))
    say("a whole grid, by the engine and by hand")
    try:
        whole = grid(work, best_workers(work, result))
    except MachineError as fault:  # the rounds are worth printing without it
        say(str(fault))
        whole = {}
    return replace(result, compute=counted, grid=whole, eager_schedules=moving_momentum())


def raced(
    work: Workload,
    *,
    rounds: int,
    quick: bool,
    say: Callable[[str], None],
    only: Sequence[str] = (),
) -> Result:
    """The rounds of all contenders, or of those named.

    Raises:
        MachineError: the engine cannot run.
    """
    every = [*loops(work, quick=quick), *switches(work, quick=quick)]
    contenders = [one for one in every if not only or one.name in only]
    with entered(work, contenders, say) as entrants:
        engine = next(entrant for entrant in entrants if entrant.name == "engine")
        if engine.fault:
            raise MachineError(f"bench: the engine does not run: {engine.fault}")
        epochs = interleaved(entrants, rounds, QUICK_ROUND_S if quick else ROUND_S, say)
        if engine.fault:
            raise MachineError(engine.fault)
    lines = [
        line_of(
            "switch" if entrant.contender.against else "loop",
            entrant.name,
            entrant.rounds,
            engine.rounds,
            entrant.ready,
            entrant.fault,
        )
        for entrant in entrants
    ]
    return Result(machine(work), {**described(work), "epochs_per_round": epochs}, lines)


def best_workers(work: Workload, result: Result) -> int:
    """Those of the best reference loop."""
    best = result.best_reference
    every = loops(work, quick=False)
    return next((c.workers for c in every if best and c.name == best.name), 0)


def moving_momentum() -> list[str]:
    """The schedules that move the momentum, of which a captured step holds one number."""
    from lrbench.schedules import catalogue, parse

    found = []
    for entry in catalogue():
        with suppress(UsageError):  # somebody's plug-in that wants arguments
            schedule = parse(entry.facts.get("example") or entry.name)
            if schedule.bind(1.0, steps=100, steps_per_epoch=10).momentum(0) is not None:
                found.append(entry.name)
    return found


def described(work: Workload) -> dict[str, object]:
    found = asdict(work)
    return {**found, "recipe": work.recipe.model_dump(mode="json"), "data_dir": None}


def machine(work: Workload) -> dict[str, object]:
    from lrbench.engine.device import describe, open_device

    return {**describe(open_device(work.device), work.threads), "cores": os.cpu_count()}
