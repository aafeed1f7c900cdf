from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from lrbench.errors import UsageError
from lrbench.models import MODELS, build

OF_IMAGES = [entry.name for entry in MODELS if entry.facts.get("reads") != "text"]
CIFAR, DIGITS = (3, 32, 32), (1, 28, 28)
FAST_WIDTHS = [24, 64, 64, 256, 256, 256, 256]
FAST_CONVOLUTIONS = sum(9 * a * b for a, b in pairwise(FAST_WIDTHS))


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [
        ("mlp", DIGITS, 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10),
        # LeNet: 16·25+16, 32·16·25+32, 32·5·5·84+84, 84·10+10
        ("lenet", DIGITS, 81_382),
        # Caffe's cifar10_quick: 2432 + 25632 + 51264 + 65600 + 650
        ("cnn3", CIFAR, 145_578),
        # He et al., table 6: 0.27 M; option A has no weights in its shortcuts
        ("resnet20", CIFAR, 269_722),
        ("resnet8", CIFAR, 75_290),
        ("resnet18", CIFAR, 11_173_962),
        # airbench's widths: 2x2 to 24 channels, 3x3 convolutions, a linear layer without bias
        ("fastnet", CIFAR, 3 * 4 * 24 + FAST_CONVOLUTIONS + 2 * sum(FAST_WIDTHS) + 256 * 10),
    ],
)
def test_parameter_counts(name: str, shape: tuple[int, int, int], count: int) -> None:
    assert parameters(build(name, shape=shape, classes=10)) == count


def test_resnet18_computes_what_torchvisions_does() -> None:
    """With the same weights, in the order of use, the logits are the same."""
    from torchvision.models import resnet18

    theirs = resnet18(num_classes=10)
    theirs.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = nn.Identity()
    ours = build("resnet18", CIFAR, 10)
    with torch.no_grad():
        for mine, yours in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert mine.shape == yours.shape
            yours.copy_(mine)
    images = torch.randn(2, *CIFAR)
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


def test_shortcut_a_subsamples_and_fills_with_zeros() -> None:
    from lrbench.models.layers import PadShortcut

    x = torch.randn(2, 16, 8, 8)
    found = PadShortcut(16, 32, 2)(x)
    assert torch.equal(found[:, :16], x[:, :, ::2, ::2])
    assert not found[:, 16:].any()


@pytest.mark.parametrize("name", OF_IMAGES)
@pytest.mark.parametrize(
    ("shape", "classes"), [((1, 28, 28), 10), ((3, 33, 47), 7), ((4, 64, 28), 2)]
)
def test_any_channels_size_and_classes(
    name: str, shape: tuple[int, int, int], classes: int
) -> None:
    model = build(name, shape=shape, classes=classes).eval()
    with torch.no_grad():
        logits = model(torch.randn(2, *shape))
    assert logits.shape == (2, classes)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", [*OF_IMAGES, "own_pkg.nets:bare"])
def test_weights_follow_from_the_seed(name: str, own_pkg: Path) -> None:
    def drawn(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return [p.detach() for p in build(name, DIGITS, 10).parameters()]

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


SLOW = [pytest.param(name, marks=pytest.mark.long) for name in ("fastnet", "resnet18", "resnet20")]


@pytest.mark.parametrize("name", ["mlp", "lenet", "cnn3", "resnet8", *SLOW])
def test_learns_a_few_images_by_heart(name: str) -> None:
    torch.manual_seed(0)
    images = functional.interpolate(torch.randn(16, 1, 7, 7), 28)
    labels = torch.arange(16) % 4
    model = build(name, DIGITS, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    first = float(functional.cross_entropy(model(images), labels).detach())
    for _ in range(20):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.5 * first


@pytest.mark.parametrize("name", OF_IMAGES)
def test_small_images_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(UsageError, match=f"--model {name} needs .* 28 x 28 pixels, not 27 x 40"):
        build(name, shape=(1, 27, 40), classes=10)


def test_fast_blocks_hand_their_input_through() -> None:
    from lrbench.models.layers import near_identity

    x = torch.randn(2, 5, 8, 8)
    assert torch.equal(near_identity(5, 9)(x)[:, :5], x)
