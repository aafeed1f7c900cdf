"""The largest stable learning rate: bisection in log LR with constant-LR trainings."""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from lrbench.rangetest.probe import ROUNDING, Probe, Prober
from lrbench.rangetest.training import Setup

Outcome = Literal["converges", "bounded", "diverges"]

DECADE = 10.0
SETTLING = 6.4  # steps · (1 - momentum)
KICK = 3.0  # the same, added for each factor of e by which the first step outweighs later ones
LEARNT = 0.1  # fraction of the best fall so far that a converging training reaches


@dataclass(frozen=True)
class Stability:
    """The largest learning rate at which a short training converges.

    `lr` lies between the largest one that converged and the smallest one above that did not.
    `above` says what happens clearly above it: "bounded" or "diverges". `lr` is None if nothing
    converged; `above` is None if everything did, up to `lr`, the end of the range.
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
) -> Iterator[Probe | Stability]:
    """Climb by decades from `start_lr` until a training no longer converges, then bisect.

    A sweep cannot find this limit: with momentum it runs far ahead of the blow-up it causes. Yields
    each probe as it finishes, then the result, whose bracket is within `ratio`.

    Args:
        known: probes of the same seed and length, to start from.
    """
    probes = sorted((p for p in known if p.seed == seed), key=lambda p: p.lr)

    def seen(probe: Probe) -> Outcome:
        return outcome(probe, [other for other in probes if other.lr < probe.lr])

    def tried(lr: float) -> Generator[Probe, None, Probe]:
        probes.extend((yield from prober.each([(lr, seed)])))
        return probes[-1]

    rising = list(takewhile(lambda probe: seen(probe) == "converges", probes))
    low = rising[-1] if rising else None
    high = next((p for p in probes if low is None or p.lr > low.lr), None)
    lr = start_lr if low is None else min(low.lr * DECADE, end_lr)
    while high is None and (low is None or low.lr < end_lr):
        probe = yield from tried(lr)
        if seen(probe) == "converges":
            low = probe
        elif low is not None or not _idle(probe):
            high = probe
        elif lr >= end_lr:
            break
        lr = min(lr * DECADE, end_lr)
    if low is None or high is None:
        above = outcome(high, ()) if high else None
        yield Stability(low.lr if low else None, above, tuple(probes))
        return
    while high.lr / low.lr > ratio:
        probe = yield from tried(math.sqrt(low.lr * high.lr))
        low, high = (probe, high) if seen(probe) == "converges" else (low, probe)
    limit = math.sqrt(low.lr * high.lr)
    probes.sort(key=lambda p: p.lr)
    clear = next(p for p in probes if p.lr >= min(limit * ratio, probes[-1].lr))
    yield Stability(limit, seen(clear), tuple(probes))


def outcome(probe: Probe, smaller: Sequence[Probe]) -> Outcome:
    """Whether a training converges, stays bounded without converging, or diverges.

    It converges if its loss falls by at least a tenth of the best fall at a smaller learning rate.
    """
    if probe.fall is None or probe.loss is None:
        return "diverges"
    best = max((other.fall for other in smaller if other.fall is not None), default=0.0)
    enough = max(LEARNT * best, ROUNDING * abs(probe.loss))
    return "converges" if probe.fall > enough else "bounded"


def _idle(probe: Probe) -> bool:
    """True if the learning rate is too small to change the loss by more than rounding errors."""
    return probe.fall is not None and abs(probe.fall) <= ROUNDING * abs(probe.loss or 0.0)


def settling_steps(setup: Setup) -> int:
    """Steps after which it is clear whether a training converges, at least `verify_steps`.
    With momentum m above 0.9 the loss first rises, for a time proportional to 1/(1 - m), and longer
    if the first gradient outweighs later ones, which dampening d scales by 1 - d."""
    optimizer, _ = setup.make_optimizer(setup.task.model(setup.spec.seeds[0]))
    momentum, dampening = (
        max(float(group.get(name) or 0.0) for group in optimizer.param_groups)
        for name in ("momentum", "dampening")
    )
    if momentum <= 0.9 and not 0 < dampening < 1:
        return setup.spec.verify_steps
    settled = round((SETTLING - KICK * math.log1p(-dampening)) / (1 - momentum))
    return max(setup.spec.verify_steps, settled)
