from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from lrbench.data import mnist5k as module
from lrbench.data.mnist5k import mnist5k
from lrbench.errors import MachineError

DIGEST = "04c94a2ce1e1d40968a2ad8ec40645d143f7a85b2cc96fc9fbd9c885e7167cb7"


def test_is_what_was_published_and_split_for_ever() -> None:
    data = mnist5k()
    assert data.train_images.shape == (4000, 1, 28, 28)
    assert data.test_images.shape == (1000, 1, 28, 28)
    assert np.bincount(data.train_labels).tolist() == [400] * 10
    assert np.bincount(data.test_labels).tolist() == [100] * 10
    assert data.digest == DIGEST


def test_train_and_test_share_no_image() -> None:
    data = mnist5k()
    train = {image.tobytes() for image in data.train_images}
    assert not any(image.tobytes() in train for image in data.test_images)


def original() -> bytes:
    return module._file().read_bytes()


def flipped_pixel() -> bytes:
    text = gzip.decompress(original())
    return gzip.compress(text.replace(b"253", b"252", 1))


def swapped_labels() -> bytes:
    lines = gzip.decompress(original()).splitlines()
    first, last = lines[0], lines[-1]
    lines[0] = first[: first.rindex(b",")] + last[last.rindex(b",") :]
    lines[-1] = last[: last.rindex(b",")] + first[first.rindex(b",") :]
    return gzip.compress(b"\n".join(lines) + b"\n")


def flipped_byte() -> bytes:
    content = bytearray(original())
    content[len(content) // 2] ^= 1
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        flipped_pixel,
        swapped_labels,
        flipped_byte,
        lambda: original()[:-1000],
        lambda: original()[:5],
        lambda: b"",
        lambda: gzip.compress(b"1,2,3\n"),
        lambda: gzip.compress(b"no,numbers\n"),
        lambda: gzip.compress(b"\n".join(gzip.decompress(original()).splitlines()[:-1])),
    ],
    ids=["pixel", "labels", "byte", "cut", "stub", "empty", "narrow", "words", "a line less"],
)
def test_another_file_is_refused_by_name(
    content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mnist_5k.csv.gz"
    path.write_bytes(content())  # type: ignore[operator]
    monkeypatch.setattr(module, "_file", lambda: path)
    with pytest.raises(MachineError, match=r"mnist_5k\.csv\.gz is damaged.*pip install"):
        mnist5k()


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_file", lambda: tmp_path / "gone.csv.gz")
    with pytest.raises(MachineError, match=r"gone\.csv\.gz is damaged: it is missing"):
        mnist5k()
