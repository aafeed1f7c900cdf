"""A package of the user's own, as tests write it into a folder."""

import sys
from pathlib import Path

import pytest

FILES = {
    "__init__.py": "",
    "layers.py": "WIDTH = 16\n",
    "nets.py": """
from torch import nn
from own_pkg.layers import WIDTH


def build(image_shape, classes):
    c, h, w = image_shape
    return nn.Sequential(
        nn.Flatten(), nn.Linear(c * h * w, WIDTH), nn.ReLU(), nn.Linear(WIDTH, classes)
    )


def by_place(shape, k):
    return build(shape, k)


def bare():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(10))


class Net(nn.Module):
    def __init__(self, num_classes, width=8):
        super().__init__()
        self.body = nn.Linear(784, width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.head(self.body(x.flatten(1)).relu())


def five():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 5))


def three(a, b, c):
    return a


def text():
    return "no network"


def frozen(image_shape, classes):
    return build(image_shape, classes).requires_grad_(False)


def raises():
    raise KeyError("mine")


made = nn.Linear(2, 2)
""",
    "opt.py": """
import torch


class Signed(torch.optim.Optimizer):
    def __init__(self, params, lr, beta=0.9):
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["beta"])
                p.add_(m.sign(), alpha=-group["lr"])


def no_optimizer(params):
    return params
""",
    "parts.py": """
import torch
import torch.nn.functional as F


def smooth(logits, labels):
    return F.cross_entropy(logits, labels, label_smoothing=0.1)


def unreduced(logits, labels):
    return F.cross_entropy(logits, labels, reduction="none")


def noise(images, generator):
    return images.float() + torch.randn(images.shape, generator=generator, device=images.device)


def negative(images):
    return 255 - images


def smaller(images):
    return images[:, :, 1:]


def three(a, b, c):
    return a
""",
}


@pytest.fixture
def own_pkg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of `own_pkg`, importable while the test lasts."""
    folder = tmp_path / "own_pkg"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    forget(monkeypatch)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def forget(monkeypatch: pytest.MonkeyPatch, top: str = "own_pkg") -> None:
    """Let the package be imported anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == top]:
        monkeypatch.delitem(sys.modules, name)
