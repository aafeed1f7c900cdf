from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100

from lrbench.data import load
from lrbench.data.cifar import FILES, read
from lrbench.errors import MachineError

from .makers import cifar10_folder

FOLDER = "cifar-10-batches-py"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few random images in CIFAR-10's files, whose digests torchvision takes for the known."""
    md5 = cifar10_folder(tmp_path, per_batch=4)
    *batches, test = [[name, known] for name, known in md5.items() if name != "batches.meta"]
    monkeypatch.setattr(CIFAR10, "train_list", batches)
    monkeypatch.setattr(CIFAR10, "test_list", [test])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5["batches.meta"]})


def test_reads_what_is_sound(tmp_path: Path, small: None) -> None:
    data = read(10, tmp_path)
    assert data.train_images.shape == data.test_images.shape == (20, 3, 32, 32)
    assert data.train_labels.tolist() == [0, 1, 2, 3] * 5
    assert data.classes[0] == "thing 0"
    assert data.augmentation.flip and data.augmentation.crop_padding == 4
    first = np.random.default_rng(2).integers(0, 256, (4, 3072), dtype=np.uint8)[0]
    assert np.array_equal(data.train_images[0].ravel(), first)


@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta"])
@pytest.mark.parametrize("length", [None, -9, 0], ids=["flip", "cut", "empty"])
def test_any_damage_is_refused_before_unpickling(
    tmp_path: Path, small: None, file: str, length: int | None
) -> None:
    path = tmp_path / FOLDER / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content[:length])
    with pytest.raises(MachineError, match=r"batches-py is damaged: the MD5 of a file.*--download"):
        read(10, tmp_path)


def test_a_small_set_is_not_the_known_one(tmp_path: Path, small: None) -> None:
    with pytest.raises(MachineError, match="cifar10 is damaged: 20 train images, not 50000"):
        load("cifar10", tmp_path)


@pytest.mark.parametrize("kind", [CIFAR10, CIFAR100])
def test_the_files_are_those_of_torchvision(kind: Any) -> None:
    files = [*dict([*kind.train_list, *kind.test_list]), kind.meta["filename"]]
    assert FILES[int(kind.__name__[5:])] == [f"{kind.base_folder}/{file}" for file in files]
