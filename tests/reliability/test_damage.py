"""Flipped bytes and cut files, anywhere in a run: recomputed or refused by name, never believed."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.reliability.corruptions import KINDS, Corrupt, corruptions, some_bytes
from tests.reliability.round import mutations
from tests.reliability.tools import record


@pytest.mark.parametrize(
    ("times", "kinds"),
    [
        pytest.param(7, KINDS, marks=pytest.mark.long),
        pytest.param(14, [some_bytes], marks=pytest.mark.long),
        pytest.param(200, [some_bytes], marks=pytest.mark.soak),
    ],
)
def test_damage_is_never_believed(tmp_path: Path, times: int, kinds: Sequence[Corrupt]) -> None:
    *faults, told = corruptions(tmp_path, times, random.Random(times), kinds)
    assert not faults, faults
    assert ": 0 commands" not in told and ", 0 refused" not in told
    record(*told.strip("| ").split(" | "))


def test_damaged_weights_are_one_line(tmp_path: Path) -> None:
    *faults, _ = mutations(tmp_path, 150, random.Random(24))
    assert not faults
