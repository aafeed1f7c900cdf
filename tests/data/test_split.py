import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lrbench.data import load
from lrbench.data.split import stratified


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
