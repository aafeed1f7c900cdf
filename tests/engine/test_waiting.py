"""The environment that OpenMP reads, as the command sets it and as other processes get it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lrbench.engine.device import BRIEFLY, wait_briefly


@pytest.fixture(autouse=True)
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BRIEFLY:
        monkeypatch.setenv(name, "")  # so that it is put back, whatever the test leaves
        monkeypatch.delenv(name)


def test_whoever_chose_a_policy_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wait_briefly()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE" and "GOMP_SPINCOUNT" not in os.environ


def test_child_processes_get_it() -> None:
    wait_briefly()
    show = "import os; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"
    child = subprocess.run([sys.executable, "-c", show], capture_output=True, check=True)
    assert child.stdout.split() == [b"1000", b"PASSIVE"]


def test_libgomp_hears_the_number_and_the_policy() -> None:
    """As the runtime itself displays them."""
    told = {**os.environ, **BRIEFLY, "OMP_DISPLAY_ENV": "VERBOSE"}
    done = subprocess.run([sys.executable, "-c", "import torch; torch.ones(9).sum()"], env=told,
                          capture_output=True, text=True, check=True)  # fmt: skip
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("torch was built with another OpenMP than GNU's")
    assert "GOMP_SPINCOUNT = '1000'" in done.stderr
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr
