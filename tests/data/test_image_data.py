import hashlib
from dataclasses import replace

import numpy as np
import pytest

from lrbench.errors import MachineError

from .makers import image_data

NONE = np.zeros((0, 1, 28, 28), np.uint8)


def test_digest_is_that_of_bytes_in_c_order() -> None:
    data = image_data(count=8)
    whole = hashlib.sha256(repr(data.classes).encode())
    for array in (data.train_images, data.train_labels, data.test_images, data.test_labels):
        whole.update(repr(array.shape).encode() + array.tobytes())
    assert data.digest == whole.hexdigest()
    fortran = replace(data, train_images=np.asfortranarray(data.train_images))
    assert fortran.digest == data.digest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train_labels": np.arange(40) % 5}, "labels from 0 to 4, but 4 classes"),
        ({"test_labels": np.arange(40) % 4 - 1}, "labels from -1"),
        ({"train_labels": np.zeros(39, dtype=np.int64)}, "40 images, but 39 labels"),
        ({"train_images": np.zeros((40, 1, 28, 28), dtype=np.float64)}, "float64 of shape"),
        ({"train_images": np.zeros((40, 28, 28), dtype=np.uint8)}, "uint8 of shape"),
        ({"test_labels": np.zeros(40, dtype=np.int32)}, "int32"),
        ({"test_images": np.zeros((40, 1, 28, 27), dtype=np.uint8)}, "test images"),
        ({"test_images": NONE, "test_labels": np.zeros(0, int)}, "empty"),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(MachineError, match="dataset made is damaged") as fault:
        replace(image_data(), **change)
    assert words in str(fault.value)
