from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrbench.data import load
from lrbench.data.cifar import CIFAR10_MD5, CIFAR100_MD5, read
from lrbench.errors import MachineError

from .makers import cifar10_folder

BATCH = "cifar-10-batches-py/data_batch_3"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A few random images in CIFAR-10's files, whose digests torchvision takes for the known."""
    from torchvision.datasets import CIFAR10

    md5 = cifar10_folder(tmp_path, per_batch=4)
    pairs = [[Path(name).name, known] for name, known in md5.items()]
    monkeypatch.setattr(CIFAR10, "train_list", [p for p in pairs if p[0].startswith("data")])
    monkeypatch.setattr(CIFAR10, "test_list", [p for p in pairs if p[0] == "test_batch"])
    meta: dict[str, Any] = {**CIFAR10.meta, "md5": md5["cifar-10-batches-py/batches.meta"]}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    return md5


def test_reads_what_is_sound(tmp_path: Path, small: dict[str, str]) -> None:
    data = read("cifar10", "CIFAR10", small, tmp_path, download=False)
    assert data.train_images.shape == data.test_images.shape == (20, 3, 32, 32)
    assert data.train_labels.tolist() == [0, 1, 2, 3] * 5
    assert data.classes[0] == "thing 0"
    assert data.augmentation.flip and data.augmentation.crop_padding == 4
    first = np.random.default_rng(2).integers(0, 256, (4, 3072), dtype=np.uint8)[0]
    assert np.array_equal(data.train_images[0].ravel(), first)


@pytest.mark.parametrize(
    "file", [BATCH, "cifar-10-batches-py/test_batch", "cifar-10-batches-py/batches.meta"]
)
@pytest.mark.parametrize("change", ["flip", "cut", "empty"])
def test_any_damage_is_refused_before_unpickling(
    tmp_path: Path, small: dict[str, str], file: str, change: str
) -> None:
    path = tmp_path / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"flip": bytes(content), "cut": bytes(content[:-9]), "empty": b""}[change])
    with pytest.raises(MachineError, match=f"{path.name} is damaged: its md5.*--download"):
        read("cifar10", "CIFAR10", small, tmp_path, download=False)


def test_a_hostile_pickle_is_not_opened(tmp_path: Path, small: dict[str, str]) -> None:
    trace = tmp_path / "trace"
    bomb = f"cos\nmkdir\n(S'{trace}'\ntR.".encode()
    (tmp_path / BATCH).write_bytes(bomb)
    with pytest.raises(MachineError, match="data_batch_3 is damaged"):
        read("cifar10", "CIFAR10", small, tmp_path, download=False)
    assert not trace.exists()


def test_a_small_set_is_not_the_known_one(
    tmp_path: Path, small: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for file, digest in small.items():
        monkeypatch.setitem(CIFAR10_MD5, file, digest)
    with pytest.raises(MachineError, match="cifar10 is damaged: 20 train images, not 50000"):
        load("cifar10", tmp_path)


def test_digests_are_torchvisions() -> None:
    from torchvision.datasets import CIFAR10, CIFAR100

    for ours, theirs in ((CIFAR10_MD5, CIFAR10), (CIFAR100_MD5, CIFAR100)):
        lists = [*theirs.train_list, *theirs.test_list]
        expected = {f"{theirs.base_folder}/{file}": md5 for file, md5 in lists}
        expected[f"{theirs.base_folder}/{theirs.meta['filename']}"] = theirs.meta["md5"]
        assert dict(ours) == expected
