"""Answers on networks and data that had no part in choosing the rules."""

import pytest
import torch

from benchmarks.find_regret import untuned


@pytest.mark.long
@pytest.mark.parametrize("name", ["regression", "embedding", "deep and narrow"])
def test_the_answer_loses_at_most_a_quarter(name: str) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = list(untuned.measured(name))
    torch.set_num_threads(threads)
    assert len(rows) == 3
    for found, loss, best, _ in rows:
        assert found.lr is not None and loss <= 1.25 * best, (name, found.lr, found.reasons)
