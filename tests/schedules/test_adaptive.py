"""Plateau: torch's decisions one by one, its state, and where its epochs begin."""

from __future__ import annotations

import json
import math
import random
import warnings

import pytest
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lrbench.errors import UsageError
from lrbench.schedules import parse

SPE = 5


def ours(spec: str, metric: str, values: list[float]) -> list[float]:
    """The LR of each epoch, the one after the last value included."""
    run = parse(spec).bind(lr=0.3, steps=SPE * (len(values) + 1), steps_per_epoch=SPE)
    for epoch, value in enumerate(values):
        before = run.lr((epoch + 1) * SPE)
        cut = run.observe({metric: value}, epoch)
        after = run.lr((epoch + 1) * SPE)
        assert cut == (None if before == after else (before, after))
    return [run.lr(epoch * SPE) for epoch in range(len(values) + 1)]


def theirs(values: list[float], **options: object) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    lrs = [0.3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = ReduceLROnPlateau(optimizer, **options)  # type: ignore[arg-type]
        for value in values:
            scheduler.step(value)
            lrs.append(optimizer.param_groups[0]["lr"])
    return lrs


CASES = [
    ("plateau", "val_loss", {}),
    ("plateau(patience=2, factor=0.5, cooldown=3)", "val_loss",
     {"patience": 2, "factor": 0.5, "cooldown": 3}),
    ("plateau(val_accuracy, patience=1, min=0.01)", "val_accuracy",
     {"mode": "max", "patience": 1, "min_lr": 0.01}),
    ("plateau(patience=1, threshold=0.05, threshold_mode=abs)", "val_loss",
     {"patience": 1, "threshold": 0.05, "threshold_mode": "abs"}),
    ("plateau(train_loss, mode=max, patience=2, threshold=0.1)", "train_loss",
     {"mode": "max", "patience": 2, "threshold": 0.1}),
    ("ReduceLROnPlateau(optimizer, factor=0.5, patience=0, min_lr=0.02, eps=0.001)", "val_loss",
     {"factor": 0.5, "patience": 0, "min_lr": 0.02, "eps": 0.001}),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "metric", "options"), CASES)
@pytest.mark.parametrize("seed", range(3))
def test_cuts_where_torch_cuts(
    spec: str, metric: str, options: dict[str, object], seed: int
) -> None:
    rng = random.Random(seed)
    values = [1 / (1 + 0.1 * epoch) + rng.gauss(0, 0.1) for epoch in range(60)]
    values[:: seed + 7] = [math.nan] * len(values[:: seed + 7])  # bad epochs
    assert ours(spec, metric, values) == pytest.approx(theirs(values, **options), rel=1e-12)


def test_epochs_before_its_phase_do_not_count() -> None:
    run = parse("warmup(3ep) + plateau(patience=0)").bind(lr=1.0, steps=50, steps_per_epoch=5)
    assert [run.observe({"val_loss": 1.0}, epoch) for epoch in range(5)] == [
        None, None, None, None, (1.0, 0.1),
    ]  # fmt: skip
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
    assert len(whole.state()["cuts"]) > 2
    assert [second.lr(step) for step in range(400)] == [whole.lr(step) for step in range(400)]


def test_what_it_says_about_itself() -> None:
    assert parse("plateau(val_accuracy)").metric == "val_accuracy"
    assert parse("plateau").adaptive
    assert parse("warmup + plateau").bind(0.1, 100, 10).adaptive
    assert parse("cosine").metric is None
    assert not parse("cosine").bind(0.1, 100, 10).adaptive
    assert parse("cosine").bind(0.1, 100, 10).state() == {}


def test_a_missing_metric_is_named() -> None:
    run = parse("plateau").bind(0.1, 100, 10)
    with pytest.raises(UsageError, match=r"val_loss.*train_loss"):
        run.observe({"train_loss": 1.0}, 0)
