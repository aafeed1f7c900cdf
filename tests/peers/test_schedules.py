"""What the tests of torch, timm, transformers and optax say of schedules, in our own words.

A row is one of their test functions: its schedule as a spec, and the LRs that it asserts, or that
torch's own class gives when it is stepped (of timm and transformers also LRs that timm 1.0.31 and
transformers 5.24.0 gave when they were run).
"""

import io
import warnings
from typing import Any

import pytest
import torch

from lrbench.errors import UsageError
from lrbench.schedules import parse, to_torch
from tests.peers.schedule_facts import (
    DECISIONS,
    GREEDY,
    LOSSES,
    PEERS,
    PLATEAU,
    REFUSED,
    SIXTEEN,
    TORCH,
)  # fmt: skip
from tests.schedules.makers import groups, sgd
from tests.schedules.test_torch_names import LR, torch_trace, updated


def rows(table: dict[str, Any], peer: str = "") -> list[Any]:
    """A parameter for each of their tests; a key may name several of one table row."""
    found = []
    for key, row in table.items():
        head = peer or key.partition(" ")[0]
        names = (key if peer else key.partition(" ")[2]).split(", ")
        found += [pytest.param(key, row, id=f"{head} {name}") for name in names]
    return found


@pytest.mark.parametrize(("name", "spec"), rows(TORCH, "torch"))
def test_a_scheduler_of_torch(name: str, spec: str) -> None:
    """As torch's tests do: stepped, the optimizer's LR and momentum read before each step."""
    counts = 10 if "OneCycle" in spec else 100  # where torch raises
    scheduler = to_torch(updated(spec, "step"), sgd(LR), counts, 1)
    group = scheduler.optimizer.param_groups[0]
    for count, wanted in enumerate(torch_trace(spec, counts)):
        assert (group["lr"], group["momentum"]) == wanted, count
        assert scheduler.get_last_lr() == [group["lr"]]
        scheduler.optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(("name", "row"), rows(PLATEAU, "torch reduce_lr_on_plateau"))
def test_plateaus_of_torch(name: str, row: tuple[str, list[float], list[float]]) -> None:
    arguments, metrics, lrs = row
    optimizer = sgd(0.5)
    scheduler = to_torch(f"ReduceLROnPlateau({arguments})", optimizer, len(metrics), 1)
    assert scheduler.get_last_lr() == [0.5]
    for epoch, (metric, lr) in enumerate(zip(metrics, lrs, strict=True)):
        if epoch == 8:
            optimizer.add_param_group(groups((0.05,))[0])
        scheduler.step(metric)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(lr), epoch


@pytest.mark.parametrize(("name", "row"), rows(PEERS))
def test_a_schedule_of_a_peer(name: str, row: tuple[str, float, int, dict[int, float]]) -> None:
    spec, base, steps, lrs = row
    bound = parse(spec).bind(base, steps, 1)
    assert lrs
    for step, lr in lrs.items():
        assert bound.lr(step) == pytest.approx(lr, rel=1e-6, abs=1e-12), step


@pytest.mark.parametrize(("name", "row"), rows(GREEDY, "transformers greedy"))
def test_greedy_of_transformers(name: str, row: tuple[str, list[float], float]) -> None:
    arguments, metrics, lr = row
    bound = parse(f"greedy({arguments})").bind(0.1, len(metrics), 1)
    for epoch, metric in enumerate(metrics):
        bound.observe({"val_loss": float(metric)}, epoch)
    assert bound.lr(len(metrics)) == pytest.approx(lr)


@pytest.mark.parametrize("arguments", DECISIONS)
def test_greedy_decides_as_in_transformers(arguments: str) -> None:
    bound = parse(f"greedy({arguments})").bind(0.1, len(LOSSES), 1)
    cuts = [bound.observe({"val_loss": loss}, epoch) for epoch, loss in enumerate(LOSSES)]
    changes = {epoch + 1: cut[1] for epoch, cut in enumerate(cuts) if cut}
    assert changes == pytest.approx(DECISIONS[arguments])


def test_timm_plateau_after_a_warm_up() -> None:
    bound = parse("warmup(3ep, from=0.01) + plateau(factor=0.5, patience=1)").bind(0.1, 12, 1)
    for epoch, metric in enumerate([1, 1, 1, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8]):
        bound.observe({"val_loss": metric}, epoch)
    expected = [0.01, 0.04, 0.07, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025]
    assert [bound.lr(epoch) for epoch in range(12)] == pytest.approx(expected)


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("spec", SIXTEEN)
def test_torch_lr_scheduler_state_dict_load(spec: str, weights_only: bool) -> None:
    """Also step_lr_state_dict and the like: the loaded state goes on where the saved one was."""
    one, other = (to_torch(spec, sgd(0.1), 40, 1) for _ in range(2))
    metric = (1.0,) if "Plateau" in spec else ()
    for scheduler in (one, other):  # torch warns otherwise
        scheduler.optimizer.step()
    for _ in range(7):
        one.step(*metric)
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=weights_only))
    for _ in range(20):
        assert other.state_dict() == one.state_dict()
        assert other.get_last_lr() == one.get_last_lr()
        one.step(*metric)
        other.step(*metric)


@pytest.mark.parametrize("spec", [one for one in SIXTEEN if "Plateau" not in one])
def test_torch_constant_initial_lr(spec: str) -> None:
    """The initial LR is no alias of a tensor LR."""
    optimizer = sgd(torch.tensor(0.1))
    scheduler = to_torch(spec, optimizer, 40, 1)
    for _ in range(2):
        optimizer.step()
        scheduler.step()
        assert float(optimizer.param_groups[0]["initial_lr"]) == pytest.approx(0.1)
        assert [float(lr) for lr in scheduler.base_lrs] == pytest.approx([0.1])


@pytest.mark.parametrize("spec", [*SIXTEEN[2:3], *SIXTEEN[4:8]])
def test_torch_lr_is_constant_for_constant_epoch(spec: str) -> None:
    bound = parse(spec).bind(0.05, 20, 1)
    assert len({(bound.lr(step), bound.lr(2))[1] for step in range(10)}) == 1


@pytest.mark.parametrize(("name", "spec"), rows(REFUSED, "torch"))
def test_torch_refuses(name: str, spec: str) -> None:
    with pytest.raises(UsageError):
        parse(spec).bind(0.1, 10, 1)


@pytest.mark.parametrize("right", [False, True], ids=["old_pattern", "new_pattern"])
def test_torch_pattern_warning(right: bool) -> None:
    optimizer = sgd(0.05)
    scheduler = to_torch("StepLR(3)", optimizer, 35, 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for call in (optimizer.step, scheduler.step)[:: 1 if right else -1]:
            call()
    assert bool(caught) != right
