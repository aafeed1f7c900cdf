from typing import Any

import pytest
import torch
from torch import nn

from lrbench.errors import UsageError
from lrbench.optimizers import parse_groups
from lrbench.rangetest.api import find, max_stable_lr
from lrbench.rangetest.groups import freeze, swept, swept_place
from tests.rangetest.problems import Quadratic

GROUPS = parse_groups(("head* lr=10x", "body* lr=0.2", "* lr=0.3"))


def test_jointly_factors_are_kept_and_absolute_rates_stay() -> None:
    assert swept(GROUPS)(0.1) == (1.0, 0.2, 0.3, 0.1)


@pytest.mark.parametrize("which", ["head*", "0"])
def test_a_group_alone_trains_at_the_tests_own_rate(which: str) -> None:
    assert swept(GROUPS[:3], which)(0.5) == (0.5, 0.2, 0.3)


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("heads*", "no such group; did you mean head\\*"),
        ("3", "no such group; known: head"),
        ("-1", "no such group"),
        ("body*", "'head\\*' has no learning rate to stay at; give it one, like --group"),
    ],
)
def test_a_group_that_cannot_be_swept_alone(which: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        swept_place(GROUPS[:3], which)
    assert str(caught.value).startswith("--sweep-group")


def test_a_group_that_is_frozen_at_first_is_not_trained_by_a_range_test() -> None:
    model = Two()
    groups = parse_groups(("steep* freeze=2ep",))
    stepped = [{"params": part.parameters(), "lr": 0.1} for part in (model.steep, model.shallow)]
    optimizer = torch.optim.SGD(stepped)
    freeze(optimizer, groups)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    model().backward()
    optimizer.step()
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert moved == [False, True]
    with pytest.raises(UsageError, match=r"steep. freeze=2ep is frozen at first"):
        swept_place(groups, "steep*")


class Two(nn.Module):
    """Two separate quadratics with curvatures 10 and 0.1."""

    def __init__(self) -> None:
        super().__init__()
        self.steep, self.shallow = Quadratic([10.0]), Quadratic([0.1])

    def forward(self) -> Any:
        return self.steep() + self.shallow()


def two(**lrs: float) -> tuple[Two, torch.optim.Optimizer]:
    model = Two()
    groups = [{"params": getattr(model, n).parameters(), "lr": lr} for n, lr in lrs.items()]
    return model, torch.optim.SGD(groups)


@pytest.mark.parametrize(("group", "expected"), [(0, 0.2), (1, 20.0)])
def test_each_groups_stable_limit_is_its_own(group: int, expected: float) -> None:
    model, optimizer = two(steep=0.001, shallow=0.001)
    found = max_stable_lr(
        model, None, [0], optimizer, step=lambda model, _: model(), sweep_group=group, steps=128
    )
    assert found.lr == pytest.approx(expected, rel=0.05)


def test_the_other_groups_stay_where_they_are() -> None:
    model, optimizer = two(steep=0.03, shallow=0.001)
    seen: list[tuple[float, ...]] = []

    def step(model: nn.Module, _: Any) -> Any:
        seen.append(tuple(group["lr"] for group in optimizer.param_groups))
        return model()

    settings: dict[str, Any] = {"verify": False, "max_stable": False, "points": 20, "seeds": 1}
    find(model, None, [0], optimizer, step=step, sweep_group=1, start_lr=0.1, **settings)
    trained = [lrs for lrs in seen if lrs != (0.03, 0.001)]
    assert {first for first, _ in trained} == {0.03}
    swept = [second for _, second in trained if second]
    assert (swept[0], swept[-1]) == (0.1, 10.0)
    assert len(trained) == 2 * len(swept)  # once more, with this group at 0
    assert [group["lr"] for group in optimizer.param_groups] == [0.03, 0.001]


def test_what_the_other_groups_learn_says_nothing_about_this_one() -> None:
    settings: dict[str, Any] = {"verify": False, "max_stable": False, "seeds": 1}
    settings |= {"step": lambda model, _: model(), "sweep_group": 1, "start_lr": 1e-3}

    def answer(steep_lr: float) -> float:
        model, optimizer = two(steep=steep_lr, shallow=0.001)
        found = find(model, None, [0], optimizer, end_lr=100.0, **settings)
        assert found.grade == "ok" and found.lr is not None
        return found.lr

    # the loss is a sum, so that the steep part, which falls at once, must not matter at all
    assert answer(0.03) == pytest.approx(answer(0.0), rel=1e-3)
