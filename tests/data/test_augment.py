from __future__ import annotations

import pytest
import torch
from torchvision.transforms import functional

from lrbench.data.augment import Draw, crop, draw, epoch_seed, pad
from lrbench.data.image_data import DIGITS, PHOTOS


def test_the_draw_follows_from_seed_and_epoch_alone() -> None:
    torch.manual_seed(1)
    first = draw(100, PHOTOS, seed=3, epoch=2)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    again = draw(100, PHOTOS, seed=3, epoch=2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parts, again.parts, strict=True))
    for other in (draw(100, PHOTOS, 3, 3), draw(100, PHOTOS, 4, 2), draw(100, PHOTOS, 2, 3)):
        assert not torch.equal(first.index, other.index)
        assert not torch.equal(first.top, other.top)


def test_order_is_a_permutation_and_offsets_fill_their_range() -> None:
    found = draw(5000, PHOTOS, 0, 0)
    assert found.index.sort().values.equal(torch.arange(5000))
    for offsets in (found.top, found.left):
        assert offsets.unique().tolist() == list(range(9))
        assert torch.bincount(offsets).min() > 5000 / 9 * 0.8
    assert 0.45 < found.mirror.float().mean() < 0.55
    assert not torch.equal(found.top, found.left)


def test_digits_are_never_mirrored_and_move_by_at_most_two() -> None:
    found = draw(5000, DIGITS, 0, 0)
    assert not found.mirror.any()
    assert found.top.unique().tolist() == list(range(5))


def test_seeds_of_neighbours_differ() -> None:
    seeds = {epoch_seed(seed, epoch) for seed in range(40) for epoch in range(40)}
    assert len(seeds) == 1600
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("padding", [0, 2, 4])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 30)])
def test_each_image_equals_torchvisions(padding: int, shape: tuple[int, int, int]) -> None:
    """torchvision pads with zeros, crops at (top, left), then mirrors: image by image."""
    _, height, width = shape
    images = torch.randint(0, 256, (12, *shape), dtype=torch.uint8)
    reach = 2 * padding + 1
    chosen = Draw(
        index=torch.randperm(12)[:9],
        top=torch.arange(9) % reach,
        left=torch.arange(9).flip(0) % reach,
        mirror=torch.arange(9) % 2 == 0,
    )
    padded = pad(images.permute(0, 2, 3, 1).contiguous(), padding)
    found = crop(padded, chosen, (height, width)).permute(0, 3, 1, 2)
    assert found.dtype == torch.uint8
    for place in range(9):
        expected = functional.pad(images[chosen.index[place]], [padding] * 4, fill=0)
        top, left = int(chosen.top[place]), int(chosen.left[place])
        expected = functional.crop(expected, top, left, height, width)
        if chosen.mirror[place]:
            expected = functional.hflip(expected)
        assert torch.equal(found[place], expected), place
