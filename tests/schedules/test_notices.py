"""What is said before training starts, and what is not."""

import re
import time
from typing import Any

import pytest
from torch.optim import lr_scheduler

from lrbench.errors import Notice, Topic
from lrbench.schedules import check, early_stop_notices, parse


def per_batch(optimizer: Any) -> Any:
    """A user's factory that counts the 100 batches of a run of 10 epochs."""
    return lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)


def per_epoch(optimizer: Any) -> Any:
    return lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)


def notices(spec: str, epochs: int = 100, steps_per_epoch: int = 10) -> list[Notice]:
    return check(parse(spec), 0.1, epochs * steps_per_epoch, steps_per_epoch)


@pytest.mark.parametrize(
    ("spec", "epochs", "topic", "words"),
    [
        ("exponential(gamma=0.99)", 100, Topic.UNFINISHED_DECAY, "ends at 37 % of its peak"),
        ("multistep([50ep, 150ep])", 100, Topic.MILESTONE_NOT_REACHED, "150ep of"),
        ("warmup(5ep) + multistep([98ep])", 100, Topic.MILESTONE_NOT_REACHED, "95ep"),
        ("step(100ep)", 100, Topic.MILESTONE_NOT_REACHED, "never falls"),
        ("sgdr(30ep)", 100, Topic.ENDS_INSIDE_CYCLE, "cycle 4, after 33 %"),
        ("sin(200ep)", 100, Topic.ENDS_INSIDE_CYCLE, "cycle 1, after 25 %"),
        ("warmup(100ep)", 100, Topic.WARMUP_TOO_LONG, "nothing follows"),
        ("warmup(2000it) + cosine", 100, Topic.WARMUP_TOO_LONG, "1-10%"),
        ("wsd(warmup=120ep)", 100, Topic.WARMUP_TOO_LONG, "such as 5%"),
        ("plateau", 12, Topic.PLATEAU_CANNOT_FIRE, "needs 13: lower its patience"),
        ("warmup(5ep) + plateau", 17, Topic.PLATEAU_CANNOT_FIRE, "within 12 epochs"),
        ("constant(150ep) + cosine", 100, Topic.UNFINISHED_DECAY, "never starts"),
        ("warmup(5ep, from=0) + CosineAnnealingLR(T_max=40)", 40, Topic.UNFINISHED_DECAY,
         "falls for 40ep but its phase has 35ep, so it ends at 5 % .*T_max=35"),
        ("CosineAnnealingLR(T_max=4000)", 40, Topic.UNFINISHED_DECAY, "ends at 100 % of its peak"),
        ("PolynomialLR", 100, Topic.OTHER, "below 0.1 % of its peak for 95 % .*total_iters=100"),
        ("StepLR(step_size=30, update=step)", 100, Topic.OTHER, "for 88 % .*epochs or steps"),
        ("exponential(gamma=0.5)", 100, Topic.OTHER, "hardly trains"),
        ('expr("1e5")', 100, Topic.OTHER, "peaks at 100000 times .*its base LR is 1e-05 times"),
        ('LambdaLR("1e-3")', 100, Topic.OTHER, "peaks at 0.001 times"),
        (f"{__name__}:per_batch", 10, Topic.UNFINISHED_DECAY,
         "once an epoch and ends at 98 % .*once a batch it would end at 0 %.*update=step"),
        ("CosineAnnealingLR(T_max=50)", 100, Topic.ENDS_AT_MAXIMUM, "set T_max=100"),
        ("StepLR(self.optimizer, 30, verbose=True)", 100, Topic.OTHER, "verbose= is dropped"),
        ("CosineAnnealingLR(T_max=80)", 100, Topic.ENDS_INSIDE_CYCLE, "set T_max=100"),
        ("MultiStepLR([30, 120])", 100, Topic.MILESTONE_NOT_REACHED, "update=step"),
        ("CosineAnnealingWarmRestarts(30)", 100, Topic.ENDS_INSIDE_CYCLE, "90ep or 120ep"),
        ("CyclicLR(0.01, 0.1)", 100, Topic.ENDS_INSIDE_CYCLE, "4000it"),
        ("OneCycleLR(0.1, total_steps=2000)", 100, Topic.UNFINISHED_DECAY, "total_steps=1000"),
        ("OneCycleLR(0.1, total_steps=500)", 100, Topic.OTHER, "total_steps=1000"),
        ("SequentialLR([LinearLR, CosineAnnealingLR(47)], milestones=[5])", 100,
         Topic.ENDS_AT_MAXIMUM, "T_max=95"),
        ('expr("1 if epoch < 10 or epoch > 90 else 0.1")', 100, Topic.ENDS_AT_MAXIMUM, "maximum"),
    ],
)  # fmt: skip
def test_named_warning(spec: str, epochs: int, topic: Topic, words: str) -> None:
    found = {notice.topic: notice for notice in notices(spec, epochs)}
    notice = found[topic]
    assert len(found) == 1 or spec == "warmup(2000it) + cosine"  # which never starts, too
    assert re.search(words, str(notice)), str(notice)
    assert notice.remedy or "verbose" in spec
    assert "\n" not in str(notice)


@pytest.mark.parametrize(
    "spec",
    ["warmup(5%) + cosine", "cosine(min=20%)", "CosineAnnealingLR(T_max=100)", "StepLR",
     "OneCycleLR", "MultiStepLR([30, 60])", "linear(to=50%)", "sgdr(10ep, mult=9)",
     "plateau(patience=97)", "warmup(10ep) + step(30ep)", "constant", 'expr("1 - 0.9*progress")',
     "3*(warmup(2%, from=0) + cosine(duration=30%))", "noam", "constant(at=1e-6)",
     "warmup(5ep, from=0) + CosineAnnealingLR(T_max=95)", f"{__name__}:per_epoch",
     "warmup(5ep, from=0) + cosine(clock=run)"],
)  # fmt: skip
def test_nothing_is_said_of_what_is_in_order(spec: str) -> None:
    assert notices(spec) == []


@pytest.mark.parametrize("steps", [2, 4, 7])
def test_a_short_run_is_no_unfinished_decay(steps: int) -> None:
    assert check(parse("cosine"), 0.1, steps, 2) == check(parse("linear"), 0.1, steps, 2) == []


def test_thousands_of_phases_are_checked_at_once() -> None:
    """Equal phases share their numbers; 10,000 took 1.5 s."""
    many = parse("10000*(warmup)")
    began = time.thread_time()
    assert check(many, 0.1, 1000, 100)
    assert time.thread_time() - began < 0.5


def test_a_remedy_for_a_cut_cycle_works() -> None:
    """The number of epochs that the notice names ends a cycle."""
    for spec in ("sgdr(30ep)", "sgdr(10ep, mult=2)", "triangular(15ep)"):
        remedy = notices(spec)[0].remedy
        epochs = int(remedy.split("train for ")[1].split("ep")[0])
        assert notices(spec, epochs) == []


def test_an_early_stop_is_warned_of_where_a_decay_would_be_cut_off() -> None:
    names = ("constant", "cosine", "plateau", "warmup(5%) + linear")
    (notice,) = early_stop_notices([parse(name) for name in names])
    assert "cosine, warmup + linear before" in notice.message
    assert not list(early_stop_notices([parse("constant"), parse("plateau")]))
