"""Datasets by name, as bytes in memory and on the device. Each dataset is one file here."""

from lrbench.data.access import check, defaults_of, load, train_size, whereabouts
from lrbench.data.image_data import DATASETS, Augmentation, ImageData
from lrbench.data.published import data_folder

__all__ = [
    "DATASETS", "Augmentation", "ImageData", "check", "data_folder", "defaults_of", "load",
    "train_size", "whereabouts",
]  # fmt: skip
