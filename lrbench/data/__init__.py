"""Datasets by name, as bytes in memory and on the device. A dataset is one file here."""

from lrbench.data.access import Checked, check, defaults_of, listing, load, train_size
from lrbench.data.image_data import DATASETS, Augmentation, ImageData
from lrbench.data.published import data_folder

__all__ = [
    "DATASETS", "Augmentation", "Checked", "ImageData", "check", "data_folder", "defaults_of",
    "listing", "load", "train_size",
]  # fmt: skip
