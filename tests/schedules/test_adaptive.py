"""Plateau: torch's decisions one by one, its state, and where its epochs begin."""

import json
import math
import random
from typing import Any

import pytest
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lrbench.schedules import parse
from tests.schedules.makers import sgd

SPE = 5
CASES: dict[str, dict[str, Any]] = {
    "plateau": {},
    "plateau(patience=2, factor=0.5, cooldown=3)": {"patience": 2, "factor": 0.5, "cooldown": 3},
    "plateau(val_accuracy, patience=1, min=0.01)": {"mode": "max", "patience": 1, "min_lr": 0.01},
    "plateau(patience=1, threshold=0.3, threshold_mode=abs)":
        {"patience": 1, "threshold": 0.3, "threshold_mode": "abs"},
    "plateau(train_loss, mode=max, patience=2, threshold=0.1)":
        {"mode": "max", "patience": 2, "threshold": 0.1},
    "ReduceLROnPlateau(optimizer, factor=0.5, patience=0, min_lr=[0.02], eps=0.001)":
        {"factor": 0.5, "patience": 0, "min_lr": 0.02, "eps": 0.001},
}  # fmt: skip


@pytest.mark.parametrize("spec", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_cuts_where_torch_cuts(spec: str, seed: int) -> None:
    rng = random.Random(seed)
    values = [1 / (1 + 0.1 * epoch) + rng.gauss(0, 0.1) for epoch in range(60)]
    values[:: seed + 7] = [math.nan] * len(values[:: seed + 7])  # bad epochs
    optimizer = sgd(0.3)
    theirs, schedule = ReduceLROnPlateau(optimizer, **CASES[spec]), parse(spec)
    run = schedule.bind(lr=0.3, steps=SPE * 61, steps_per_epoch=SPE)
    for epoch, value in enumerate(values):
        before = run.lr((epoch + 1) * SPE)
        cut = run.observe({str(schedule.metric): value}, epoch)
        theirs.step(value)
        after = run.lr((epoch + 1) * SPE)
        assert after == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        assert cut == (None if before == after else (before, after))


def test_epochs_before_its_phase_do_not_count() -> None:
    run = parse("warmup(3ep) + plateau(patience=0)").bind(lr=1.0, steps=50, steps_per_epoch=5)
    cuts = [run.observe({"val_loss": 1.0}, epoch) for epoch in range(5)]
    assert cuts == [None] * 4 + [(1.0, 0.1)]
    assert [run.lr(step) for step in (0, 14, 15, 24, 25, 49)] == [1 / 15, 1, 1, 1, 0.1, 0.1]


@pytest.mark.parametrize(
    "text",
    ["plateau(patience=1, cooldown=2, factor=0.7)", "greedy(patience=0, window=3, warmup=2)"],
)
def test_state_goes_through_json_and_takes_up_the_work(text: str) -> None:
    rng = random.Random(7)
    values = [rng.random() for _ in range(40)]
    spec = parse(text)
    whole, first, second = (spec.bind(lr=0.3, steps=400, steps_per_epoch=10) for _ in range(3))
    for epoch, value in enumerate(values):
        whole.observe({"val_loss": value}, epoch)
        (first if epoch < 17 else second).observe({"val_loss": value}, epoch)
        if epoch == 16:
            second.restore(json.loads(json.dumps(first.state(), allow_nan=False)))
    assert json.dumps(second.state()) == json.dumps(whole.state())
    assert len(whole.state()["cuts"]) > 2 and parse("cosine").bind(0.3, 400, 10).state() == {}
    assert [second.lr(step) for step in range(400)] == [whole.lr(step) for step in range(400)]
