import torch

from lrbench.data.augment import draw
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
