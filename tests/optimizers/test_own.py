"""Optimizers of the user, and settings by `--opt`."""

from pathlib import Path

import pytest
import torch
from torch import nn

from lrbench.errors import UsageError
from lrbench.optimizers import build, check_given
from lrbench.options import Recipe


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def test_settings_reach_torchs_class() -> None:
    recipe = Recipe(optimizer="adamw", optimizer_options=("betas=0.8,0.95", "eps=1e-6"))
    group = build(recipe, net(), 0.1)[0].param_groups[0]
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.8, 0.95), 1e-6, 5e-4)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("adam", ("beta=3",), "--opt beta=3: .*unexpected keyword argument 'beta'"),
        ("adam", ("betas=3,4",), "--opt betas=3,4: Invalid beta"),
        ("sgd", ("lr=3",), "--opt lr: give it with --lr"),
        ("own_pkg.opt:Signed", ("bta=3",), r"called as Signed\(groups, lr, bta\), and"),
        ("own_pkg.opt:no_optimizer", (), "it made a list, not a torch Optimizer"),
        ("own_pkg.opt:sined", (), "did you mean Signed"),
        ("own_pkg.opt:torch", (), "it is a module, not a function"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    own_pkg: Path, name: str, settings: tuple[str, ...], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        build(Recipe(optimizer=name, optimizer_options=settings), net(), 0.1)
    assert "\n" not in str(caught.value)


def test_an_own_class_steps_all_groups_at_their_rates(own_pkg: Path) -> None:
    recipe = Recipe(
        optimizer="own_pkg.opt:Signed", optimizer_options=("beta=0",), groups=("2.* lr=10x",)
    )
    model = net()
    optimizer, groups = build(recipe, model, 0.01)
    assert [group.pattern for group in groups] == ["2.*", "*"]
    assert "weight_decay" not in optimizer.param_groups[0]  # the class has none
    before = [p.detach().clone() for p in model.parameters()]
    model(torch.randn(64, 4)).square().sum().backward()
    optimizer.step()
    moved = [
        float((a - b).abs().max())
        for a, b in zip(before, [p.detach() for p in model.parameters()], strict=True)
    ]
    assert moved[2:] == pytest.approx([0.1, 0.1])
    assert moved[:2] == pytest.approx([0.01, 0.01])


def test_a_momentum_that_nobody_would_hear_of_is_refused(own_pkg: Path) -> None:
    for name, words in (("adam", "--momentum: adam has none"), ("own_pkg.opt:Signed", "--opt mom")):
        with pytest.raises(UsageError, match=words):
            check_given(Recipe(optimizer=name), {"momentum"})
        check_given(Recipe(optimizer=name), {"optimizer"})
        check_given(Recipe(optimizer=name, momentum=0.0), {"momentum"})
    check_given(Recipe(optimizer="sgd"), {"momentum"})
    with pytest.raises(UsageError, match="--weight-decay: own_pkg"):
        check_given(Recipe(optimizer="own_pkg.opt:Signed"), {"weight_decay"})
