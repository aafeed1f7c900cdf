"""The user's own dataset: arrays, tensors, Datasets, and what is none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from lrbench.data import check, load, train_size
from lrbench.data.image_data import DIGITS, PHOTOS, ImageData
from lrbench.data.own_data import image_data
from lrbench.data.resident import Residents
from lrbench.errors import UsageError

GREY = np.arange(6 * 8 * 9, dtype=np.uint8).reshape(6, 8, 9)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def data(train: Any, test: Any = None) -> ImageData:
    return image_data("m:f", (train, train if test is None else test))


def test_shapes_and_types() -> None:
    expected = GREY[:, None]
    for images in (GREY, GREY[:, None], GREY[..., None], torch.tensor(GREY), GREY.astype(int)):
        found = data((images, LABELS))
        assert found.train_images.dtype == np.uint8
        assert np.array_equal(found.train_images, expected)
        assert found.augmentation == DIGITS
    colour = np.stack([GREY] * 3, axis=-1)
    found = data((colour, torch.tensor(LABELS)))
    assert found.image_shape == (3, 8, 9)
    assert found.augmentation == PHOTOS
    assert np.array_equal(found.train_images, colour.transpose(0, 3, 1, 2))


def test_a_dataset_of_torch_is_read_once_in_order() -> None:
    items = list(zip(GREY, LABELS.tolist(), strict=True))
    tensors = TensorDataset(torch.tensor(GREY), torch.tensor(LABELS))
    for found in (data(items), data(tensors)):
        assert found.digest == data((GREY, LABELS)).digest


def test_what_may_be_returned() -> None:
    split = (GREY, LABELS)
    whole = image_data("m:f", {"train": split, "test": split, "classes": ["a", "b", "c"]})
    assert whole.classes == image_data("m:f", (split, split, "abc")).classes == ("a", "b", "c")
    assert image_data("m:f", (*split, *split)).digest == data(split).digest
    assert image_data("m:f", whole) is whole


def test_floats_stay_floats_and_are_standardised() -> None:
    images = np.random.default_rng(0).normal(7, 3, (40, 1, 28, 28))
    found = data((images, np.arange(40) % 2))
    assert found.train_images.dtype == np.float32
    splits = Residents.of(found, torch.device("cpu"), val_fraction=0.2, augment=False)
    mean, std = float(found.train_images.mean()), float(found.train_images.std())
    for _ in range(2):  # what is lent stays as it was
        batch, _ = splits.val.plain(0, 4)
        held = splits.val.images[:4].permute(0, 3, 1, 2)
        torch.testing.assert_close(batch, (held - mean) / std, rtol=1e-4, atol=1e-4)


CODE = """
import numpy as np
def load(data_dir): return ((np.load(data_dir / "images.npy"), np.arange(6) % 3),) * 2
def three(a, b, c): ...
"""
WRONG: list[tuple[Any, str]] = [
    (3, "it returned a int"),
    ((GREY,), "it returned a tuple of 1"),
    ({"train": (GREY, LABELS)}, "it returned a dict of 1"),
    (((GREY, LABELS), 5), "its test split is a int"),
    (((GREY, LABELS), GREY), "its test split is a ndarray"),
    (((GREY, LABELS / 2), (GREY, LABELS)), "its train labels are float64"),
    (((GREY, LABELS[:5]), (GREY, LABELS)), "training set: 6 images, but 5 labels"),
    (((GREY, LABELS * 0), (GREY, LABELS * 0)), "it has 1 class"),
    (((GREY * np.nan, LABELS), (GREY, LABELS)), "values that are not finite"),
    (((GREY.astype(int) * 9, LABELS), (GREY, LABELS)), "training set: images are int64"),
    (([], (GREY, LABELS)), "its train split is empty"),
    (([(GREY[0], 1), (GREY[0, 1:], 0)], (GREY, LABELS)), "image 1 of its train split is [7, 9]"),
    ((([GREY, GREY[:, 1:]], [0, 1]), (GREY, LABELS)), "images are not all of one shape"),
    (([1, 2, 3], (GREY, LABELS)), "item 0 of its train split is a int"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "words"), WRONG, ids=[words[:40] for _, words in WRONG])
def test_what_is_no_dataset_is_one_line_that_says_what_is_expected(found: Any, words: str) -> None:
    with pytest.raises(UsageError, match="--dataset m:f: ") as caught:
        image_data("m:f", found)
    assert words in str(caught.value)
    assert "return (train, test)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_data.py").write_text(CODE)
    np.save(tmp_path / "images.npy", GREY)
    monkeypatch.syspath_prepend(tmp_path)
    assert train_size("own_data:load") is None
    found = load("own_data:load", tmp_path)
    assert np.array_equal(found.train_images, GREY[:, None])
    assert check("own_data:load", tmp_path)[0].digest == found.digest
    with pytest.raises(UsageError, match="--dataset own_data:load: FileNotFoundError"):
        load("own_data:load", tmp_path / "none")
    with pytest.raises(UsageError, match="--dataset own_data:three: it needs"):
        load("own_data:three")
