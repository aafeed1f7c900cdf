"""A benchmark from its workload to its result."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict

from lrbench.bench.measure import entered, interleaved
from lrbench.bench.plan import Workload, loops, switches
from lrbench.bench.result import Result, line_of
from lrbench.errors import MachineError

ROUND_S, QUICK_ROUND_S = 2.0, 0.5


def run(work: Workload, *, rounds: int, quick: bool, say: Callable[[str], None]) -> Result:
    """Time every loop and every switch of the engine in interleaved rounds.

    Raises:
        MachineError: the engine or the reference loop cannot run, or a process died.
    """
    contenders = [*loops(work, quick=quick), *switches(work, quick=quick)]
    with entered(work, contenders, say) as entrants:
        engine = next(entrant for entrant in entrants if entrant.name == "engine")
        if engine.fault:
            raise MachineError(f"bench: the engine does not run: {engine.fault}")
        epochs = interleaved(entrants, rounds, QUICK_ROUND_S if quick else ROUND_S, say)
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


def described(work: Workload) -> dict[str, object]:
    found = asdict(work)
    return {**found, "recipe": work.recipe.model_dump(mode="json"), "data_dir": None}


def machine(work: Workload) -> dict[str, object]:
    from lrbench.engine.device import describe, open_device

    return {**describe(open_device(work.device), work.threads), "cores": os.cpu_count()}
