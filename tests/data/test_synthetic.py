from __future__ import annotations

import numpy as np

from lrbench.data.synthetic import synthetic

DIGEST = "08222c48864d664acd555cdeacd3cb191a98a484fb320382f686538dc5219161"


def test_is_the_same_everywhere_for_ever() -> None:
    data = synthetic()
    assert data.digest == DIGEST
    assert data.train_images.shape == (2000, 1, 28, 28)
    assert np.bincount(data.train_labels).tolist() == [200] * 10
    assert np.bincount(data.test_labels).tolist() == [50] * 10


def test_can_be_learnt_but_not_from_one_pixel() -> None:
    """The nearest class mean knows more than chance, and less than everything."""
    data = synthetic()
    train = data.train_images.reshape(2000, -1).astype(float)
    test = data.test_images.reshape(500, -1).astype(float)
    means = np.stack([train[data.train_labels == label].mean(0) for label in range(10)])
    guess = ((test[:, None] - means) ** 2).sum(2).argmin(1)
    accuracy = (guess == data.test_labels).mean()
    assert 0.3 < accuracy < 0.95
