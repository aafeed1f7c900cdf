"""The largest stable learning rate: bisection in log LR with constant-LR trainings."""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from lrbench.rangetest.probe import Outcome, Probe, Prober, idle, outcome

DECADE = 10.0


@dataclass(frozen=True)
class Stability:
    """The largest learning rate at which a short training converges.

    `lr` is between the largest that converged and the smallest above it that did not; `above` is
    what happens clearly above it: "bounded" or "diverges". `lr` is None if nothing converged;
    `above` is None if everything did, up to `lr`, the end of the range.
    """

    lr: float | None
    above: Outcome | None
    probes: tuple[Probe, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"lr": self.lr, "above": self.above, "steps": max(p.steps for p in self.probes)}


def largest_stable(
    prober: Prober,
    seed: int,
    *,
    start_lr: float,
    end_lr: float,
    known: Sequence[Probe] = (),
    ratio: float = 1.05,
) -> Generator[Probe, None, Stability]:
    """Climb by decades from `start_lr` until a training no longer converges, then bisect.

    A sweep cannot find this limit: with momentum it runs far ahead of the blow-up it has caused.
    Yields each probe as it is made; the bracket ends within `ratio`.

    Args:
        known: probes of the same seed and length, to start from.
    """
    probes = sorted((p for p in known if p.seed == seed), key=lambda p: p.lr)

    def seen(probe: Probe) -> Outcome:
        return outcome(probe, [other for other in probes if other.lr < probe.lr])

    def tried(lr: float) -> Generator[Probe, None, Probe]:
        probes.append(prober(lr, seed))
        yield probes[-1]
        return probes[-1]

    rising = list(takewhile(lambda probe: seen(probe) == "converges", probes))
    low = rising[-1] if rising else None
    high = next((p for p in probes if low is None or p.lr > low.lr), None)
    lr = start_lr if low is None else min(low.lr * DECADE, end_lr)
    while high is None and (low is None or low.lr < end_lr):
        probe = yield from tried(lr)
        if seen(probe) == "converges":
            low = probe
        elif low is not None or not idle(probe):
            high = probe
        elif lr >= end_lr:
            break
        lr = min(lr * DECADE, end_lr)
    if low is None or high is None:
        above = outcome(high, ()) if high else None
        return Stability(low.lr if low else None, above, tuple(probes))
    while high.lr / low.lr > ratio:
        probe = yield from tried(math.sqrt(low.lr * high.lr))
        low, high = (probe, high) if seen(probe) == "converges" else (low, probe)
    limit = math.sqrt(low.lr * high.lr)
    probes.sort(key=lambda p: p.lr)
    clear = next(p for p in probes if p.lr >= min(limit * ratio, probes[-1].lr))
    return Stability(limit, seen(clear), tuple(probes))
