import pytest
import torch
from torch import nn

from lrbench.errors import UsageError
from lrbench.optimizers import build, check
from lrbench.options import Recipe


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def trained(optimizer: torch.optim.Optimizer, net: nn.Module, steps: int = 5) -> list[torch.Tensor]:
    torch.manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
    return [p.detach().clone() for p in net.parameters()]


SETTINGS = {"lr": 0.05, "weight_decay": 0.01}
REFERENCES = {
    "sgd": lambda p: torch.optim.SGD(p, momentum=0.8, nesterov=True, foreach=False, **SETTINGS),
    "adam": lambda p: torch.optim.Adam(p, foreach=False, **SETTINGS),
    "adamw": lambda p: torch.optim.AdamW(p, foreach=False, **SETTINGS),
    "rmsprop": lambda p: torch.optim.RMSprop(p, momentum=0.8, foreach=False, **SETTINGS),
    "adagrad": lambda p: torch.optim.Adagrad(p, foreach=False, **SETTINGS),
    "nadam": lambda p: torch.optim.NAdam(p, foreach=False, **SETTINGS),
    "radam": lambda p: torch.optim.RAdam(p, foreach=False, **SETTINGS),
    "adadelta": lambda p: torch.optim.Adadelta(p, foreach=False, **SETTINGS),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_steps_are_those_of_torchs_plain_implementation(name: str) -> None:
    recipe = Recipe(optimizer=name, momentum=0.8, nesterov=name == "sgd", weight_decay=0.01)
    net = model()
    found = trained(build(recipe, net, 0.05)[0], net)
    net = model()
    expected = trained(REFERENCES[name](net.parameters()), net)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_learning_rate_written_into_a_group_is_used(name: str) -> None:
    net = model()
    optimizer, _ = build(Recipe(optimizer=name, groups=("0.* lr=2x",)), net, 0.05)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.05]
    optimizer.param_groups[0]["lr"] = 0.0
    before = [p.detach().clone() for p in net.parameters()]
    after = trained(optimizer, net, steps=2)
    moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert moved == [False, False, True, True]


def test_groups_come_in_order_with_their_own_settings() -> None:
    """Biases and norms without a weight decay of their group follow it with none."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
    groups = ("3.* lr=10x", "0.* lr=0.3 weight_decay=0.2")
    recipe = Recipe(weight_decay=0.1, groups=groups, no_decay_norms=True)
    optimizer, specs = build(recipe, net, 1.0)
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


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (Recipe(optimizer="sdg"), "--optimizer: unknown optimizer 'sdg'; did you mean sgd"),
        (Recipe(optimizer="adam", nesterov=True), "--nesterov: adam has no Nesterov"),
        (Recipe(nesterov=True, momentum=0), "--nesterov needs a --momentum above 0"),
        (Recipe(groups=("head*",)), "--group 'head*': it sets nothing"),
    ],
)
def test_check_refuses_in_one_line(recipe: Recipe, words: str) -> None:
    with pytest.raises(UsageError) as fault:
        check(recipe)
    assert words in str(fault.value)
