"""Many trials: memory and open files stay as they were."""

import os
from pathlib import Path

import pytest

from lrbench.execute import Host, Workbench
from lrbench.execute.mock import mock
from lrbench.options import Recipe
from lrbench.run.store import Run
from tests.reliability.tools import record
from tests.toys import trial

MEGABYTE = 2**20


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.soak)])
def test_memory_and_open_files_stay_flat(tmp_path: Path, count: int) -> None:
    run, bench = Run(tmp_path), Workbench(Recipe(), Host())
    wanted = [trial(recipe=Recipe(), seed=seed, epochs=50) for seed in range(count)]
    with mock(bench, run) as train:
        list(train(wanted[:5]))
    before, files = resident_bytes(), len(os.listdir("/proc/self/fd"))
    most = 0
    with mock(bench, run) as train:
        for done, _ in train(wanted):
            if done.seed % 10 == 0:
                most = max(most, resident_bytes() - before)
    assert len(os.listdir("/proc/self/fd")) == files
    assert most < 20 * MEGABYTE
    assert [len(history.epochs) for history in run.histories.values()] == [50] * count
    grown = f"memory +{most / MEGABYTE:.1f} MB at most"
    record(f"{count} mock trials x 50 epochs", grown, "open files unchanged")
