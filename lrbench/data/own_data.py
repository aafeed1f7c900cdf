"""The user's own dataset: `module:function`, which returns arrays, tensors or torch Datasets."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrbench import plugins
from lrbench.data.image_data import ImageData, usual_augmentation
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
    as a torch Dataset, which is read once from first to last. Images are uint8, or float, which is
    kept as float32. The channel axis is the second if its size is 1 or 3, else the last if that is
    1 or 3, else the second. Labels count from 0.
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
    if classes is None:
        classes = range(int(max(labels.max(), test_labels.max())) + 1)
    names, rule = tuple(map(str, classes)), usual_augmentation(images)
    if len(names) < 2:
        raise _wrong(name, f"it has {len(names)} class; at least 2 are needed")
    try:
        return ImageData(name, images, labels, test_images, test_labels, names, rule)
    except MachineError as fault:
        raise _wrong(name, fault.message.partition("is damaged: ")[2]) from None


def _parts(name: str, found: Any) -> tuple[Any, Any, Any]:
    """(train, test, class names or None)"""
    if isinstance(found, Mapping) and {"train", "test"} <= set(found):
        return found["train"], found["test"], found.get("classes")
    if isinstance(found, (tuple, list)) and len(found) in (2, 3):
        return (*found, None)[:3]
    if isinstance(found, (tuple, list)) and len(found) == 4:
        return found[:2], found[2:], None
    size = f" of {len(found)}" if isinstance(found, (tuple, list, Mapping)) else ""
    raise _wrong(name, f"it returned a {type(found).__name__}{size}")


def _split(
    name: str, split: str, found: Any, progress: Progress | None
) -> tuple[Array, NDArray[np.int64]]:
    if isinstance(found, (tuple, list)) and len(found) == 2 and not _is_item(found[0]):
        pair = found
    elif hasattr(found, "__len__") and hasattr(found, "__getitem__") and not _is_array(found):
        pair = _items(name, split, found, progress)
    else:
        raise _wrong(name, f"its {split} split is a {type(found).__name__}")
    try:
        images, labels = map(_array, pair)
    except (ValueError, RuntimeError):
        raise _wrong(name, f"its {split} images are not all of one shape") from None
    if not labels.size:
        raise _wrong(name, f"its {split} split is empty")
    if labels.dtype.kind not in "iu":
        raise _wrong(name, f"its {split} labels are {labels.dtype}")
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise _wrong(name, f"its {split} images contain values that are not finite")
    return _images(images), labels.astype(np.int64)


def _items(
    name: str, split: str, found: Any, progress: Progress | None
) -> tuple[list[Array], list[Array]]:
    """Images and labels of a Dataset, read from its first item to its last."""
    images, labels, total = [], [], len(found)
    for index in range(total):
        with plugins.blamed(name, OPTION):
            item = found[index]
        if not _is_item(item):
            raise _wrong(name, f"item {index} of its {split} split is a {type(item).__name__}")
        images.append(_array(item[0]))
        labels.append(_array(item[1]))
        if images[-1].shape != images[0].shape:
            shapes = [list(image.shape) for image in (images[-1], images[0])]
            what = f"image {index} of its {split} split is {shapes[0]}, the first {shapes[1]}"
            raise _wrong(name, what)
        if progress is not None and index % 100 == 0:
            progress(index, total)
    return images, labels


def _is_item(item: Any) -> bool:
    """True for (image, label): a pair whose second element is a single number."""
    if not isinstance(item, (tuple, list)) or len(item) != 2 or isinstance(item[1], (tuple, list)):
        return False
    return _array(item[1]).ndim == 0


def _images(images: Array) -> Array:
    """Images as uint8 or float32 `[n, c, h, w]`; `ImageData` refuses anything else."""
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in CHANNELS and images.shape[3] in CHANNELS:
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    if images.dtype.kind == "f":
        return images.astype(np.float32)
    small = images.dtype.kind in "iu" and images.size and images.min() >= 0 and images.max() <= 255
    return images.astype(np.uint8) if small else images


def _array(value: Any) -> Array:
    """Tensors of any device, arrays, PIL images, lists and numbers as an array."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") or hasattr(value, "__array__") or isinstance(value, (str, bytes))


def _wrong(name: str, what: str) -> UsageError:
    return UsageError(f"{OPTION} {name}: {what}", hint=EXPECTED)
