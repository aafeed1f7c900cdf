"""Datasets by name, as bytes in memory and on the device. A dataset is one file here."""

from lrbench.data.access import (
    Checked,
    Listed,
    check,
    data_folder,
    fetch,
    listing,
    load,
    train_size,
)
from lrbench.data.image_data import DATASETS, Augmentation, ImageData

__all__ = [
    "DATASETS",
    "Augmentation",
    "Checked",
    "ImageData",
    "Listed",
    "check",
    "data_folder",
    "fetch",
    "listing",
    "load",
    "train_size",
]
