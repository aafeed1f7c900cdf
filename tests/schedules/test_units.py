"""Rounding, clocks, and boundaries that are exact however far away."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.schedules.units import Clock, Length, number_text, piece


@given(st.floats(1e-12, 1e18) | st.integers(0, 10**15).map(float))
@settings(deadline=None)
def test_number_text_reads_back(value: float) -> None:
    assert float(number_text(value)) == value


@pytest.mark.parametrize(
    ("length", "steps"),
    [(Length(3), 21), (Length(0.5), 4), (Length(5, "it"), 5), (Length(2.5, "it"), 3),
     (Length(10, "%"), 11), (Length(0.001, "%"), 1), (Length(250, "%"), 263)],
)  # fmt: skip
def test_lengths_in_steps(length: Length, steps: int) -> None:
    """7 steps an epoch, 105 steps in all; halves go up, nothing is shorter than a step, and a share
    is of the run inside a phase too."""
    assert length.steps(Clock.of_run(105, 7)) == steps
    assert length.steps(Clock.of_run(105, 7).phase(start=60, steps=40)) == steps


@given(st.integers(1, 50), st.sampled_from([1, 2, 3, 5]), st.integers(0, 10**24))
@settings(deadline=None)
def test_whole_pieces_are_integer_arithmetic(size: int, growth: int, step: int) -> None:
    index, start, end = piece(step, size, growth)
    assert start <= step < end
    before = range(index) if growth > 1 else ()
    assert start == (sum(size * growth**i for i in before) if growth > 1 else size * index)
    assert end - start == size * growth**index


@given(st.floats(1, 500), st.floats(1, 4) | st.just(1 + 1e-15), st.integers(0, 10**6))
@settings(deadline=None)
def test_pieces_tile_the_time(size: float, growth: float, step: int) -> None:
    index, start, end = piece(step, size, growth)
    assert start <= step < end
    assert piece(start, size, growth) == (index, start, end)
    assert piece(end, size, growth)[1] == end
    if start:
        assert piece(start - 1, size, growth)[2] == start
