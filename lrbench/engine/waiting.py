"""How long torch's CPU threads spin while they wait for each other, before they sleep.

Left to itself libgomp spins for milliseconds: beside another training a step has taken ten times as
long. A thread that sleeps at once has to be woken by the kernel some thirty times a step: LeNet
loses a quarter of its speed on a quiet machine. A thousand spins are near the best in both;
`results/bench-cpu` holds the figures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

# GOMP_SPINCOUNT, libgomp's own, goes before the policy; other runtimes of OpenMP hear the policy
BRIEFLY = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}


def wait_briefly() -> None:
    """Set the environment of this process, before torch is imported, and of those that it starts.
    Who has set one of these is left alone."""
    if not BRIEFLY.keys() & os.environ.keys():
        os.environ.update(BRIEFLY)


@contextmanager
def waiting_as_found() -> Iterator[None]:
    """Processes that are started meanwhile wait as anybody's do."""
    ours = BRIEFLY.items() <= os.environ.items()
    if ours:
        for name in BRIEFLY:
            del os.environ[name]
    try:
        yield
    finally:
        if ours:
            os.environ.update(BRIEFLY)
