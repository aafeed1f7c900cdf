"""The user's own dataset: `module:function`, which returns arrays, tensors or torch Datasets."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrbench import plugins
from lrbench.data.image_data import DIGITS, PHOTOS, ImageData
from lrbench.errors import MachineError, UsageError

Array = NDArray[Any]

OPTION = "--dataset"
EXPECTED = (
    "return (train, test), each (images, labels) or a Dataset of (image, label): images uint8 or "
    "float [n, c, h, w], [n, h, w, c] or [n, h, w], labels whole numbers [n]"
)
CHANNELS = (1, 3)

Progress = Callable[[int, int], None]  # (images read, all images)


def load_own(
    name: str, data_dir: Path | None = None, progress: Progress | None = None
) -> ImageData:
    """Call the user's function, with `data_dir` if its signature names it, and convert the result.

    It returns `(train, test)`, `(train, test, class names)`, a mapping with these keys (`classes`
    for the names), `(train images, train labels, test images, test labels)`, or an `ImageData`.
    A split is `(images, labels)`, or anything with a length whose items are (image, label), such
    as a torch Dataset, which is read once from first to last. Images are uint8, or float and then
    kept as float32. A second axis of 1 or 3 is the channels, else a last one of 1 or 3, else the
    second. Labels count from 0.
    """
    function = plugins.load_callable(name, OPTION)
    found = plugins.call(name, function, {}, option=OPTION, extra={"data_dir": data_dir})
    return image_data(name, found, progress)


def image_data(name: str, found: Any, progress: Progress | None = None) -> ImageData:
    """The dataset that a user's function returned."""
    if isinstance(found, ImageData):
        return found
    train, test, classes = _parts(name, found)
    images, labels = _split(name, "train", train, progress)
    test_images, test_labels = _split(name, "test", test, progress)
    if test_images.dtype != images.dtype:
        raise _wrong(name, f"training images are {images.dtype}, test images {test_images.dtype}")
    if classes is None:
        classes = range(int(max(labels.max(), test_labels.max())) + 1)
    try:
        return ImageData(
            name,
            np.ascontiguousarray(images),
            labels,
            np.ascontiguousarray(test_images),
            test_labels,
            classes=tuple(map(str, classes)),
            augmentation=PHOTOS if images.shape[1] == 3 else DIGITS,
        )
    except MachineError as fault:
        raise _wrong(name, fault.message.partition("is damaged: ")[2]) from None


def _parts(name: str, found: Any) -> tuple[Any, Any, Any]:
    """(train, test, class names or None)"""
    if isinstance(found, Mapping):
        if not {"train", "test"} <= set(found):
            raise _wrong(name, f"the mapping has {', '.join(map(str, found))}")
        return found["train"], found["test"], found.get("classes")
    size = len(found) if isinstance(found, (tuple, list)) else 0
    if size in (2, 3):
        return (*found, None)[:3]
    if size == 4:
        return found[:2], found[2:], None
    raise _wrong(name, f"it returned a {type(found).__name__}" + (f" of {size}" if size else ""))


def _split(
    name: str, split: str, found: Any, progress: Progress | None
) -> tuple[Array, NDArray[np.int64]]:
    if isinstance(found, (tuple, list)) and len(found) == 2 and not _is_item(found[0]):
        try:
            images, labels = _array(found[0]), _array(found[1])
        except (ValueError, RuntimeError):
            raise _wrong(name, f"its {split} images are not all of one shape") from None
    elif hasattr(found, "__len__") and hasattr(found, "__getitem__") and not _is_array(found):
        images, labels = _items(name, split, found, progress)
    else:
        raise _wrong(name, f"its {split} split is a {type(found).__name__}")
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise _wrong(name, f"its {split} labels are {labels.dtype} of shape {list(labels.shape)}")
    if not len(labels):
        raise _wrong(name, f"its {split} split is empty")
    return _images(name, split, images), labels.astype(np.int64)


def _items(name: str, split: str, found: Any, progress: Progress | None) -> tuple[Array, Array]:
    """Images and labels of a Dataset, read from its first item to its last."""
    images, labels, total = [], [], len(found)
    for index in range(total):
        with plugins.blamed(name, OPTION):
            item = found[index]
        if not _is_item(item):
            raise _wrong(name, f"item {index} of its {split} split is a {type(item).__name__}")
        images.append(_array(item[0]))
        labels.append(_array(item[1]))
        shapes = [list(image.shape) for image in (images[-1], images[0])]
        if shapes[0] != shapes[1]:
            what = f"image {index} of its {split} split is {shapes[0]}, the first {shapes[1]}"
            raise _wrong(name, what)
        if progress is not None and index % 100 == 0:
            progress(index, total)
    if not total:
        raise _wrong(name, f"its {split} split is empty")
    return np.stack(images), np.stack(labels)


def _is_item(item: Any) -> bool:
    """Whether it is (image, label): a pair whose second is one number."""
    if not isinstance(item, (tuple, list)) or len(item) != 2 or isinstance(item[1], (tuple, list)):
        return False
    return _array(item[1]).ndim == 0


def _images(name: str, split: str, images: Array) -> Array:
    """uint8 or float32 [n, c, h, w]"""
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in CHANNELS and images.shape[3] in CHANNELS:
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4:
        raise _wrong(name, f"its {split} images are {images.dtype} of shape {list(images.shape)}")
    if images.dtype.kind == "f":
        if not np.isfinite(images).all():
            raise _wrong(name, f"its {split} images contain values that are not finite")
        return images.astype(np.float32)
    if images.dtype.kind not in "iu" or images.min() < 0 or images.max() > 255:
        raise _wrong(name, f"its {split} images are {images.dtype}, not uint8 or float")
    return images.astype(np.uint8)


def _array(value: Any) -> Array:
    """Tensors of any device, arrays, PIL images, lists and numbers as an array."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") or hasattr(value, "__array__") or isinstance(value, (str, bytes))


def _wrong(name: str, what: str) -> UsageError:
    return UsageError(f"{OPTION} {name}: {what}", hint=EXPECTED)
