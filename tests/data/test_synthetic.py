import numpy as np

from lrbench.data.synthetic import synthetic

DIGEST = "08222c48864d664acd555cdeacd3cb191a98a484fb320382f686538dc5219161"


def test_is_the_same_everywhere_for_ever() -> None:
    data = synthetic()
    assert data.digest == DIGEST
    assert data.train_images.shape == (2000, 1, 28, 28)
    assert np.bincount(data.train_labels).tolist() == [200] * 10
    assert np.bincount(data.test_labels).tolist() == [50] * 10
