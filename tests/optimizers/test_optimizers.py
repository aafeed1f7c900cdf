"""The registered optimizers and the user's own, over parameter groups."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn, optim

from lrbench.errors import UsageError
from lrbench.optimizers import build, check_given
from lrbench.options import Recipe


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def opt(*settings: str) -> dict[str, Any]:
    return {"optimizer_options": settings}


def values(net: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in net.parameters()]


def trained(optimizer: optim.Optimizer, net: nn.Module, steps: int = 5) -> list[torch.Tensor]:
    torch.manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
    return values(net)


KINDS = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam", "Adadelta"]
NAMES = [kind.lower() for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_those_of_torchs_plain_implementation(kind: str) -> None:
    settings: dict[str, Any] = {"weight_decay": 0.01}
    settings |= {"momentum": 0.8} if kind in ("SGD", "RMSprop") else {}
    settings |= {"nesterov": True} if kind == "SGD" else {}
    ours, theirs = model(), model()
    found = trained(build(Recipe(optimizer=kind.lower(), **settings), ours, 0.05)[0], ours)
    plain = getattr(optim, kind)(theirs.parameters(), lr=0.05, foreach=False, **settings)
    torch.testing.assert_close(found, trained(plain, theirs), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_a_learning_rate_written_into_a_group_is_used(name: str) -> None:
    net = model()
    optimizer, _ = build(Recipe(optimizer=name, groups=("0.* lr=2x",)), net, 0.05)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.05]
    optimizer.param_groups[0]["lr"] = 0.0
    before, after = values(net), trained(optimizer, net, steps=2)
    moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert moved == [False, False, True, True]


def test_groups_come_in_order_with_their_own_settings() -> None:
    """Biases and norms without a weight decay of their group follow it with none."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
    groups = ("3.* lr=10x", "0.* lr=0.3 weight_decay=0.2")
    optimizer, specs = build(Recipe(weight_decay=0.1, groups=groups, no_decay_norms=True), net, 1.0)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    assert [
        (spec.pattern, group["lr"], group["weight_decay"], [names[id(p)] for p in group["params"]])
        for spec, group in zip(specs, optimizer.param_groups, strict=True)
    ] == [
        ("3.*", 10.0, 0.1, ["3.weight"]),
        ("3.*", 10.0, 0.0, ["3.bias"]),
        ("0.*", 0.3, 0.2, ["0.weight", "0.bias"]),
        ("*", 1.0, 0.0, ["1.weight", "1.bias"]),
    ]


def test_frozen_parameters_are_left_out() -> None:
    net = model()
    next(net.parameters()).requires_grad_(False)
    optimizer, _ = build(Recipe(), net, 0.1)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 3
    with pytest.raises(UsageError, match=r"--group '0\.weight' matches no parameter"):
        build(Recipe(groups=("0.weight lr=2x",)), net, 0.1)


def test_an_own_class_steps_all_groups_at_their_rates(own_pkg: Path) -> None:
    settings = {"optimizer_options": ("beta=0",), "groups": ("2.* lr=10x",)}
    recipe, net = Recipe(optimizer="own_pkg.opt:Signed", **settings), model()
    optimizer, groups = build(recipe, net, 0.01)
    assert [group.pattern for group in groups] == ["2.*", "*"]
    assert "weight_decay" not in optimizer.param_groups[0]  # the class has none
    before, after = values(net), trained(optimizer, net, steps=1)
    moved = [float((a - b).abs().max()) for a, b in zip(before, after, strict=True)]
    assert moved == pytest.approx([0.01, 0.01, 0.1, 0.1])


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("sdg", {}, "--optimizer: unknown optimizer 'sdg'; did you mean sgd"),
        ("adam", {"nesterov": True}, "--nesterov: adam has no Nesterov"),
        ("sgd", {"nesterov": True, "momentum": 0}, "--nesterov needs a --momentum above 0"),
        ("sgd", {"groups": ("head*",)}, r"--group 'head\*': it sets nothing"),
        ("adam", opt("beta=3"), "--opt beta=3: .*unexpected keyword argument 'beta'"),
        ("adam", opt("x={[1]:2}"), "--opt x=.*unexpected keyword argument 'x'"),
        ("adam", opt("betas=3,4"), "--opt betas=3,4: Invalid beta"),
        ("sgd", opt("lr=3"), "--opt lr: use --lr"),
        ("rmsprop", opt("momentum=0.5"), "--opt momentum: use --momentum"),
        ("sgd", opt("nesterov=true"), "--opt nesterov: use --nesterov"),
        ("own_pkg.opt:Signed", opt("bta=3"), r"called as Signed\(groups, lr, bta\), but"),
        ("own_pkg.opt:no_optimizer", {}, "it made a list, not a torch Optimizer"),
        ("own_pkg.opt:torch", {}, "must be a function or a class, not module"),
    ],
)
def test_what_cannot_be_built_is_one_line(
    own_pkg: Path, name: str, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        build(Recipe(optimizer=name, **changes), model(), 0.1)
    assert "\n" not in str(caught.value)


def test_a_momentum_that_the_optimizer_ignores_is_refused(own_pkg: Path) -> None:
    for name, words in (("adam", "--momentum: adam has none"), ("own_pkg.opt:Signed", "--opt mom")):
        with pytest.raises(UsageError, match=words):
            check_given(Recipe(optimizer=name), {"momentum"})
        check_given(Recipe(optimizer=name), {"optimizer"})
        check_given(Recipe(optimizer=name, momentum=0.0), {"momentum"})
    check_given(Recipe(optimizer="sgd"), {"momentum"})
    with pytest.raises(UsageError, match="--weight-decay: own_pkg"):
        check_given(Recipe(optimizer="own_pkg.opt:Signed"), {"weight_decay"})
