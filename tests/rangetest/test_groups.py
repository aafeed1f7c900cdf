from typing import Any

import pytest
import torch
from torch import nn

from lrbench.errors import UsageError
from lrbench.optimizers import GroupSpec, parse_groups
from lrbench.rangetest.api import find, max_stable_lr
from lrbench.rangetest.groups import freeze, swept, swept_place
from tests.rangetest.handed import SWEEP
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
    with pytest.raises(UsageError, match=f"^--sweep-group.*{words}"):
        swept_place(GROUPS[:3], which)


class Two(nn.Module):
    """Two separate quadratics with curvatures 10 and 0.1."""

    def __init__(self) -> None:
        super().__init__()
        self.steep, self.shallow = Quadratic([10.0]), Quadratic([0.1])

    def forward(self, _: Any = None) -> Any:
        return self.steep() + self.shallow()


def two(steep: float, shallow: float = 0.001) -> tuple[Two, torch.optim.Optimizer]:
    model = Two()
    parts = ((model.steep, steep), (model.shallow, shallow))
    return model, torch.optim.SGD([{"params": part.parameters(), "lr": lr} for part, lr in parts])


def test_absolute_rates_alone_leave_nothing_to_sweep() -> None:
    with pytest.raises(UsageError, match=r"^--group 'head.*no group is left"):
        swept([GroupSpec("head*", lr_absolute=0.1), GroupSpec("*", lr_absolute=0.2)])


def test_a_group_that_is_frozen_at_first_is_not_trained_by_a_range_test() -> None:
    model, optimizer = two(0.1, 0.1)
    groups = parse_groups(("steep* freeze=2ep",))
    freeze(optimizer, groups)
    model().backward()
    optimizer.step()
    assert (model.steep.x.item() == 1.0, model.shallow.x.item() == 1.0) == (True, False)
    with pytest.raises(UsageError, match=r"steep. freeze=2ep is frozen at first"):
        swept_place(groups, "steep*")


@pytest.mark.parametrize(("group", "expected"), [(0, 0.2), (1, 20.0)])
def test_each_groups_stable_limit_is_its_own(group: int, expected: float) -> None:
    model, optimizer = two(0.001)
    found = max_stable_lr(model, None, [0], optimizer, step=Two.__call__, sweep_group=group)
    assert found.lr == pytest.approx(expected, rel=0.05)


def test_what_the_other_groups_learn_says_nothing_about_this_one() -> None:
    """The loss is a sum, so that the steep part, which falls at once, must not matter at all."""
    settings: dict[str, Any] = {**SWEEP, "seeds": 1, "start_lr": 1e-3, "end_lr": 100.0}
    settings |= {"step": Two.__call__, "sweep_group": 1}
    models = [two(steep_lr) for steep_lr in (0.03, 0.0)]
    moved, still = (find(model, None, [0], each, **settings) for model, each in models)
    assert moved.grade == still.grade == "ok"
    assert moved.lr == pytest.approx(still.lr, rel=1e-3)
