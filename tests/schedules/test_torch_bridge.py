"""A schedule as torch's scheduler, and a user's factory as a table."""

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch.optim import Adagrad, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

from lrbench.errors import UsageError
from lrbench.schedules import catalogue, parse, to_torch
from tests.schedules.makers import adamw, groups, sgd

STEPS, STEPS_PER_EPOCH = 42, 7
ENTRIES = [entry.facts.get("example", entry.name) for entry in catalogue()]
COMPOSED = [
    "warmup(5%) + cosine", "3*(warmup(2%, from=0) + cosine(duration=30%))",
    "warmup(1ep) + plateau(patience=0)", "cosine(update=epoch)", "warmup(20%, shape=exp) * cosine",
    "warmup(1ep, from=0) + step(2ep, clock=run)", "greedy(patience=0, factor=0.5)",
    "warmup(10it) + SequentialLR([ConstantLR, MultiplicativeLR('0.9')], milestones=[2])",
]  # fmt: skip


def scheduler_of(spec: Any, *lrs: float, optimizer: Optimizer | None = None) -> Any:
    """For `optimizer`, or an SGD with these LRs."""
    return to_torch(spec, optimizer or sgd(*lrs), STEPS, STEPS_PER_EPOCH)


def losses(epoch: int) -> dict[str, float]:
    """Metrics that stop improving after a while."""
    return {"val_loss": max(0.5, 1 - epoch / 4), "val_accuracy": min(0.5, epoch / 4)}


def walk(scheduler: Any, first: int, last: int, meddle: bool = False) -> list[list[float]]:
    """The LR of each group at the steps from `first` to before `last`, stepped in order."""
    rows = []
    for step in range(first, last):
        rows.append([float(group["lr"]) for group in scheduler.optimizer.param_groups])
        scheduler.optimizer.step()
        if meddle:
            scheduler.optimizer.param_groups[0]["lr"] = 77.0
        scheduler.step()
        if (step + 1) % STEPS_PER_EPOCH == 0 and "plateaus" in scheduler.state_dict():
            scheduler.observe(losses(step // STEPS_PER_EPOCH))
    return rows


@pytest.mark.parametrize("spec", [*ENTRIES, *COMPOSED])
def test_gives_the_lr_of_the_schedule_at_every_step(spec: str) -> None:
    schedule = parse(spec)
    scheduler = scheduler_of(spec, 0.1, 0.01)
    assert isinstance(scheduler, LRScheduler)
    bounds = [schedule.bind(lr, STEPS, STEPS_PER_EPOCH) for lr in (0.1, 0.01)]
    rows = walk(scheduler, 0, STEPS, meddle=True)  # it ignores what else writes the LR
    for step, row in enumerate(rows):
        if step and step % STEPS_PER_EPOCH == 0 and schedule.adaptive:
            for bound in bounds:
                bound.observe(losses(step // STEPS_PER_EPOCH - 1), step // STEPS_PER_EPOCH - 1)
        assert row == [bound.lr(step) for bound in bounds]
    assert scheduler.get_last_lr() == [bound.lr(STEPS) for bound in bounds] or schedule.adaptive


@pytest.mark.parametrize("spec", [*ENTRIES, *COMPOSED])
@pytest.mark.parametrize("stop", [7, 20])
def test_resumes_from_its_own_state_alone(spec: str, stop: int) -> None:
    """Through a weights-only file, into a fresh optimizer that knows nothing."""
    one = scheduler_of(spec, 0.1, 0.01)
    walk(one, 0, stop)
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    rest = walk(one, stop, STEPS)

    file.seek(0)
    other = scheduler_of(spec, 0.1, 0.01)
    state = torch.load(file, weights_only=True)
    other.load_state_dict(state)
    assert other.state_dict() == state
    momenta = [group["momentum"] for group in other.optimizer.param_groups]
    bound = parse(spec).bind(0.1, STEPS, STEPS_PER_EPOCH)
    assert momenta[0] == (0.5 if bound.momentum(stop) is None else bound.momentum(stop))
    assert walk(other, stop, STEPS) == rest


@pytest.mark.parametrize("first", ["scheduler", "optimizer"])
def test_loads_before_or_after_the_optimizer(first: str) -> None:
    one = scheduler_of("warmup(5%) + cosine", optimizer=adamw(0.1))
    walk(one, 0, 20)
    states = copy.deepcopy((one.state_dict(), one.optimizer.state_dict()))
    rest = walk(one, 20, STEPS)
    fresh = adamw(0.1)
    if first == "optimizer":  # even before the scheduler is made: initial_lr is the base
        fresh.load_state_dict(states[1])
    other = scheduler_of("warmup(5%) + cosine", optimizer=fresh)
    other.load_state_dict(states[0])
    if first == "scheduler":
        fresh.load_state_dict(states[1])
    assert walk(other, 20, STEPS) == rest


def test_fills_a_tensor_lr_in_place() -> None:
    tensor = torch.tensor(0.1, dtype=torch.float64)
    optimizer = sgd(tensor, 0.01)
    held = optimizer.param_groups[0]["lr"]
    scheduler = scheduler_of("cosine", optimizer=optimizer)
    table = parse("cosine").table(lr=0.1, steps=STEPS, steps_per_epoch=STEPS_PER_EPOCH)
    assert [row[0] for row in walk(scheduler, 0, 30)] == table[:30]
    scheduler.load_state_dict({"last_epoch": 11})
    assert optimizer.param_groups[0]["lr"] is held and float(held) == table[11]
    last = scheduler.get_last_lr()[0]
    assert isinstance(last, torch.Tensor) and last is not held
    assert isinstance(optimizer.param_groups[1]["lr"], float)
    assert float(optimizer.param_groups[0]["initial_lr"]) == scheduler.base_lrs[0] == 0.1


def test_the_lr_that_a_schedule_names_is_its_base() -> None:
    expected = parse("linear").table(lr=0.05, steps=4, steps_per_epoch=4)
    assert parse("linear @ 0.05").table(lr=7.0, steps=4, steps_per_epoch=4) == expected
    assert [row[0] for row in walk(to_torch("linear @ 0.05", sgd(7.0), 4, 4), 0, 4)] == expected


def test_each_group_may_have_its_own_schedule() -> None:
    scheduler = to_torch(["constant", "linear"], sgd(1e-4, 1e-3), 4, 4)
    expected = [[1e-4, lr] for lr in (1e-3, 7.5e-4, 5e-4, 2.5e-4)]
    assert walk(scheduler, 0, 4) == [pytest.approx(row) for row in expected]
    with pytest.raises(UsageError, match="1 schedules for 2 parameter groups"):
        to_torch(["constant"], sgd(1e-4, 1e-3), 4, 4)


@pytest.mark.parametrize("spec", ["onecycle", "OneCycleLR(max_lr=0.3)", "CyclicLR(step_size_up=9)"])
@pytest.mark.parametrize("make", [sgd, adamw])
def test_cycles_the_momentum(spec: str, make: Any) -> None:
    optimizer: Optimizer = make(0.1, 0.01)
    scheduler, group = scheduler_of(spec, optimizer=optimizer), optimizer.param_groups[1]
    bound = parse(spec).bind(0.1, STEPS, STEPS_PER_EPOCH)
    seen = []
    for step in range(STEPS):
        seen.append(group["betas"][0] if "betas" in group else group["momentum"])
        walk(scheduler, step, step + 1)
    assert seen == [bound.momentum(step) for step in range(STEPS)]
    assert len(set(seen)) > 5
    assert make is sgd or group["betas"][1] == 0.99


def test_leaves_an_optimizer_without_momentum_alone() -> None:
    optimizer = Adagrad([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    walk(scheduler_of("onecycle", optimizer=optimizer), 0, 1)
    assert "momentum" not in optimizer.param_groups[0]


@pytest.mark.parametrize("calls", [7, 6, 0], ids=["after all", "as the last", "instead of all"])
def test_plateau_is_told_its_metric_by_step(calls: int) -> None:
    """As in torch's own plateau, whichever way the batches are counted."""
    values = [1.0, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8]
    reference = ReduceLROnPlateau(sgd(0.1), patience=1, factor=0.5)
    scheduler = to_torch("plateau(patience=1, factor=0.5)", sgd(0.1), 7 * len(values), 7)
    for epoch, value in enumerate(values):
        for _ in range(calls):
            scheduler.optimizer.step()
            scheduler.step()
        scheduler.step(torch.tensor(value, dtype=torch.float64))
        reference.step(value)
        assert scheduler.last_epoch == 7 * (epoch + 1)
        assert scheduler.get_last_lr() == pytest.approx(reference.get_last_lr(), rel=1e-12)
    assert scheduler.get_last_lr()[0] < 0.1


def test_metrics_by_name_and_their_faults() -> None:
    scheduler = scheduler_of("plateau(val_accuracy, patience=0)", 0.1)
    scheduler.step({"val_loss": 1.0, "val_accuracy": 0.5})
    with pytest.raises(UsageError, match=r"val_accuracy.*val_loss"):
        scheduler.step({"val_loss": 1.0})
    with pytest.raises(UsageError, match="without metrics"):
        scheduler_of("cosine", 0.1).step(0.5)
    with pytest.raises(UsageError, match="not a state"):
        scheduler.load_state_dict({"last_epoch": 3})
    with pytest.raises(UsageError, match="not a state"):
        scheduler_of("cosine", 0.1).load_state_dict({"epoch": 3})


def test_a_skipped_optimizer_step_after_a_restart_is_no_fault() -> None:
    """As a gradient scaler skips it: the order was right before; warnings are errors here."""
    scheduler = scheduler_of("cosine", 0.1)
    scheduler.load_state_dict({"last_epoch": 10})
    scheduler.step()
    assert scheduler.last_epoch == 11


def half_cosine(optimizer: Optimizer, floor: float = 0.0) -> LRScheduler:
    return CosineAnnealingLR(optimizer, T_max=10, eta_min=floor)


def test_a_factory_by_its_name_in_a_spec() -> None:
    """One entry an epoch; past the end the last stays."""
    bound = parse(f"{__name__}:half_cosine(floor=0.05)").bind(0.2, 20, 2)
    for epoch, (lr,) in enumerate(walk(half_cosine(sgd(0.2), floor=0.05), 0, 10)):
        assert bound.lr(2 * epoch) == bound.lr(2 * epoch + 1) == lr
    assert bound.lr(99) == bound.lr(19)
    assert bound.momentum(3) is None


@pytest.mark.parametrize(
    ("name", "factory", "fault", "message"),
    [
        ("no_scheduler", lambda optimizer: 0.1, UsageError, "not an LRScheduler"),
        ("needs_a_metric", ReduceLROnPlateau, UsageError, "needs a metric"),
        ("fails", lambda optimizer: 1 / 0, ZeroDivisionError, "division by zero"),
    ],
)
def test_faults_of_factories(
    name: str, factory: Any, fault: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), name, factory)
    with pytest.raises(fault, match=message):
        parse(f"{__name__}:{name}").bind(0.1, 10, 5)


@pytest.mark.parametrize("spec", ["onecycle", "StepLR(2)", "plateau", *COMPOSED[-1::-3]])
def test_is_pickled_copied_and_survives_new_groups_like_torch_s_own(spec: str) -> None:
    one = scheduler_of(spec, 0.1, 0.01)
    walk(one, 0, 10)
    others = [copy.deepcopy(one), pickle.loads(pickle.dumps(one))]
    rest = walk(one, 10, STEPS)
    assert [walk(other, 10, STEPS) for other in others] == [rest, rest]
    scheduler = scheduler_of(spec, 0.1)
    scheduler.optimizer.add_param_group(groups((0.5,))[0])
    alone = walk(scheduler_of(spec, 0.1), 0, STEPS)
    assert walk(scheduler, 0, STEPS) == [[lr, 0.5] for (lr,) in alone]
