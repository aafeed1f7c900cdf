"""One cycle: torch's LR and momentum at every step."""

from __future__ import annotations

import pytest
from torch.optim import lr_scheduler as torch_lr

from lrbench.schedules import parse
from tests.schedules.torch_reference import LR, assert_same, trace


@pytest.mark.parametrize("steps_per_epoch", [1, 7])
@pytest.mark.parametrize("epochs", [5, 15, 20])
@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("onecycle", {}),
        ("onecycle(peak_at=40%, div=10, final_div=100)",
         {"pct_start": 0.4, "div_factor": 10, "final_div_factor": 100}),
        ("onecycle(anneal=linear)", {"anneal_strategy": "linear"}),
        ("onecycle(peak_at=10%, base_momentum=0.8, max_momentum=0.9)",
         {"pct_start": 0.1, "base_momentum": 0.8, "max_momentum": 0.9}),
    ],
)  # fmt: skip
def test_onecycle_and_its_momentum_equal_torch(
    spec: str, options: dict[str, float], epochs: int, steps_per_epoch: int
) -> None:
    steps = epochs * steps_per_epoch
    lrs, momenta = trace(lambda o: torch_lr.OneCycleLR(o, LR, total_steps=steps, **options), steps)
    run = parse(spec).bind(LR, steps, steps_per_epoch)
    assert_same([run.lr(step) for step in range(steps)], lrs)
    ours = [run.momentum(step) for step in range(steps)]
    assert_same([momentum or 0.0 for momentum in ours], momenta)


def test_momentum_stays_the_optimizers_own_unless_it_is_cycled() -> None:
    assert parse("onecycle(cycle_momentum=False)").bind(0.1, 100, 10).momentum(5) is None
    assert parse("triangular").bind(0.1, 100, 10).momentum(5) is None


def test_momentum_belongs_to_its_phase() -> None:
    run = parse("constant(50%) + onecycle").bind(0.1, 100, 10)
    assert run.momentum(49) is None
    assert run.momentum(50) == pytest.approx(0.95)
