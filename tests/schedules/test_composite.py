"""Phases and warm-ups: own clocks, boundaries, holds, and the formulas of torch and Paddle."""

from __future__ import annotations

import math

import pytest
from torch.optim import lr_scheduler as torch_lr

from lrbench.errors import UsageError
from lrbench.schedules import parse
from tests.schedules.torch_reference import LR, assert_same, trace


def table(spec: str, steps: int, steps_per_epoch: int = 10, lr: float = LR) -> list[float]:
    return parse(spec).table(lr=lr, steps=steps, steps_per_epoch=steps_per_epoch)


def test_warmup_wastes_no_step() -> None:
    assert table("warmup(4it) + constant", 6, lr=1.0) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_warmup_from_starts_at_exactly_that() -> None:
    assert table("warmup(4it, from=0) + constant", 6, lr=1.0) == [0, 0.25, 0.5, 0.75, 1, 1]
    assert table("warmup(4it, from=20%) + constant", 5, lr=1.0) == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1.0]
    )
    assert table("warmup(2it, from=0.05) + constant", 2, lr=1.0)[0] == 0.05


@pytest.mark.parametrize(
    ("shape", "way"),
    [
        ("linear", lambda x: x),
        ("exp", lambda x: 1 - math.exp(-5 * x)),
        ("exp_normalised", lambda x: (1 - math.exp(-5 * x)) / (1 - math.exp(-5))),
    ],
)
def test_shapes_of_warmup(shape: str, way: object) -> None:
    plain = table(f"warmup(50it, shape={shape}) + constant", 60)
    assert_same(plain[:50], [LR * way((t + 1) / 50) for t in range(50)])  # type: ignore[operator]
    start = table(f"warmup(50it, from=10%, shape={shape}) + constant", 60)
    low = 0.1 * LR
    assert_same(start[:50], [low + (LR - low) * way(t / 50) for t in range(50)])  # type: ignore[operator]
    assert plain[50:] == start[50:] == [LR] * 10


def test_exponential_warmup_of_the_article_falls_short_of_the_base() -> None:
    last = table("warmup(100it, shape=exp) + constant", 101, lr=1.0)
    assert last[99] == pytest.approx(0.99326, abs=5e-6)
    assert last[100] == 1.0
    assert table("warmup(100it, shape=exp_normalised) + constant", 101, lr=1.0)[99] == 1.0


def test_constant_warmup() -> None:
    assert table("warmup(2it, from=10%, shape=constant) + constant", 4, lr=1.0) == [0.1, 0.1, 1, 1]
    with pytest.raises(UsageError, match="needs from"):
        table("warmup(2it, shape=constant) + constant", 4)


def test_both_formulas_of_the_article_on_warmup() -> None:
    """Its text has t/W, its code (t+1)/W: step 49 of 100 from 0.001."""
    assert table("warmup(100it, from=0) + constant", 200, lr=0.001)[49] == pytest.approx(0.00049)
    assert table("warmup(100it) + constant", 200, lr=0.001)[49] == pytest.approx(0.0005)


@pytest.mark.parametrize("steps_per_epoch", [1, 7])
def test_warmup_then_cosine_equals_torch(steps_per_epoch: int) -> None:
    steps, width = 20 * steps_per_epoch, 5 * steps_per_epoch
    theirs, _ = trace(
        lambda o: torch_lr.SequentialLR(
            o,
            [
                torch_lr.LinearLR(o, 0.01, 1.0, width),
                torch_lr.CosineAnnealingLR(o, steps - width),
            ],
            [width],
        ),
        steps,
    )
    assert_same(table("warmup(5ep, from=1%) + cosine", steps, steps_per_epoch), theirs)


def paddle_warmup(t: int, width: int, start: float, inner: list[float]) -> float:
    """Paddle's LinearWarmup: start + (end-start) t/W, then the inner schedule asked at t-W."""
    if t < width:
        return (LR - start) * float(t) / float(width) + start
    return inner[t - width]


@pytest.mark.parametrize("start", [0.0, 0.02])
def test_warmup_nesting_follows_paddle(start: float) -> None:
    """PaddleOCR's recipe in small: 20 steps of warm-up, then stairs counted from there."""
    steps, width, epoch = 100, 20, 10
    stairs = [LR * 0.1 ** sum(t >= mark for mark in (30, 40)) for t in range(steps)]
    theirs = [paddle_warmup(t, width, start, stairs) for t in range(steps)]
    ours = table(f"warmup(20it, from={start}) + multistep([3ep, 4ep])", steps, epoch)
    assert_same(ours, theirs)
    assert ours[50:60] == pytest.approx([0.1 * LR] * 10)  # a tenth at the first milestone
    assert ours[60] == pytest.approx(0.01 * LR)  # and only then 1 %
    falling = [LR * (1 - t / 80) ** 0.9 for t in range(steps)]
    theirs = [paddle_warmup(t, width, start, falling) for t in range(steps)]
    assert_same(table(f"warmup(20it, from={start}) + polynomial(power=0.9)", steps, epoch), theirs)


def test_a_warmup_of_steps_and_milestones_of_epochs_keep_their_units() -> None:
    lrs = table("warmup(2000it, from=0) + multistep([300ep, 400ep])", 450 * 50, 50, lr=1.0)
    edges = [step for step in range(1, len(lrs)) if lrs[step] < lrs[step - 1]]
    assert edges == [2000 + 300 * 50, 2000 + 400 * 50]


def test_the_last_phase_gets_what_the_run_leaves() -> None:
    """Cosine after 5 of 40 epochs of warm-up ends at 0: its T is 35 epochs, not 40."""
    lrs = table("warmup(5ep) + cosine", 400, lr=1.0)
    assert lrs[399] == pytest.approx((1 + math.cos(math.pi * 349 / 350)) / 2)
    assert lrs[50] == 1.0


def test_boundaries_are_summed_first_and_rounded_half_up() -> None:
    lrs = table("constant(25%, at=1%) + constant(25%, at=2%) + constant(at=3%)", 10, lr=100.0)
    assert lrs == [1] * 3 + [2] * 2 + [3] * 5  # 2.5 -> 3, then 5.0 -> 5


def test_each_phase_has_at_least_one_step() -> None:
    lrs = table("constant(1%, at=1%) + constant(1%, at=2%) + constant(at=3%)", 10, lr=100.0)
    assert lrs == [1, 2] + [3] * 8


def test_each_phase_starts_again_from_the_base_lr() -> None:
    lrs = table("linear(duration=50%) + linear", 8, 8, lr=1.0)
    assert lrs == [1.0, 0.75, 0.5, 0.25, 1.0, 0.75, 0.5, 0.25]


@pytest.mark.parametrize(
    ("spec", "end"),
    [
        ("cosine(duration=50%)", 0.0),
        ("linear(to=20%, duration=50%)", 0.2),
        ("warmup(50%)", 1.0),
        ("constant(50%, at=30%)", 0.3),
        ("step(1ep, gamma=0.5, duration=5ep)", 0.5**4),
        ("multistep([1ep, 5ep], gamma=0.5, duration=5ep)", 0.5),
        ("triangular(25%, min=10%, duration=50%)", 0.1),
        ("exponential(gamma=0.5, duration=5ep)", 0.5**5),
        ("3*(warmup(1ep) + cosine(duration=1ep))", 0.0),
    ],
)
def test_a_last_phase_with_a_length_holds_its_end_value(spec: str, end: float) -> None:
    """Stairs hold the last stair, cycles do not restart at the boundary."""
    run = parse(spec).bind(lr=1.0, steps=100, steps_per_epoch=10)
    length = 60 if spec.startswith("3*") else 50
    for step in (length, length + 1, 99, 10**6):
        assert run.lr(step) == pytest.approx(end, abs=1e-15)


def test_a_held_cycle_does_not_restart() -> None:
    run = parse("sgdr(25%, duration=50%)").bind(lr=1.0, steps=100, steps_per_epoch=10)
    assert run.lr(50) == run.lr(49) == run.lr(99) < 0.01


def test_repetition_is_the_sequence_written_out() -> None:
    short = table("3*(warmup(2%, from=0) + cosine(duration=30%))", 100, lr=1.0)
    part = "warmup(2%, from=0) + cosine(duration=30%)"
    assert short == table(f"{part} + {part} + {part}", 100, lr=1.0)
    assert [step for step in range(100) if short[step] == 0] == [0, 32, 64, *range(96, 100)]
    assert [short[step] for step in (2, 34, 66)] == [1.0, 1.0, 1.0]


def test_percent_inside_a_phase_is_of_the_whole_run() -> None:
    lrs = table("constant(50%) + multistep([20%], gamma=0.5)", 100, lr=1.0)
    assert lrs == [1.0] * 70 + [0.5] * 30


def test_update_epoch_is_the_epochs_first_value_of_any_schedule() -> None:
    for spec in ("cosine", "linear(to=1%)", "sgdr", "onecycle", 'expr("1-progress")'):
        name, _, rest = spec.partition("(")
        held = f"{name}({rest[:-1]}, update=epoch)" if rest else f"{name}(update=epoch)"
        run = parse(spec).bind(lr=1.0, steps=70, steps_per_epoch=7)
        ours = table(held, 70, 7, lr=1.0)
        assert ours == [run.lr(step - step % 7) for step in range(70)]


def test_epoch_is_whole_under_update_epoch() -> None:
    lrs = table('expr("epoch", update=epoch)', 21, 7, lr=1.0)
    assert lrs == [0.0] * 7 + [1.0] * 7 + [2.0] * 7
