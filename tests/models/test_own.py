"""The user's own network."""

from pathlib import Path

import pytest
import torch

from lrbench.errors import UsageError
from lrbench.models import build, check

SHAPE = (1, 28, 28)


@pytest.mark.parametrize("label", ["build", "by_place", "bare", "Net"])
def test_it_gives_logits(own_pkg: Path, label: str) -> None:
    model = build(f"own_pkg.nets:{label}", SHAPE, 10)
    assert model(torch.zeros(3, *SHAPE)).shape == (3, 10)
    assert model.training


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("five", "it returns shape [2, 5], not logits [2, 10]"),
        ("three", "it needs (a, b, c), but is called as three(image_shape, classes)"),
        ("text", "it made a str, not an nn.Module"),
        ("raises", "KeyError: 'mine'"),
        ("frozen", "it has no trainable parameters"),
        ("made", "it is an existing network"),
    ],
)
def test_what_is_no_such_network_is_one_line(own_pkg: Path, label: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"--model own_pkg.nets:{label}") as caught:
        build(f"own_pkg.nets:{label}", SHAPE, 10)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_that_it_does_not_take_are_named(own_pkg: Path) -> None:
    with pytest.raises(UsageError, match="it does not accept images of 3 x 32 x 32"):
        build("own_pkg.nets:Net", (3, 32, 32), 10)


def test_checking_calls_nothing(own_pkg: Path) -> None:
    check("own_pkg.nets:raises")
    with pytest.raises(UsageError, match="did you mean build"):
        check("own_pkg.nets:buid")
