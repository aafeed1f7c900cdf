"""How long torch's CPU threads spin while they wait for each other, before they sleep.

By default libgomp spins for milliseconds, which makes steps up to ten times as long next to another
training. Sleeping at once costs LeNet a quarter of its speed on a quiet machine. A thousand spins
are near the best in both cases: see `benchmarks/cpu/README.md`.
"""

from __future__ import annotations

import os

# libgomp's own GOMP_SPINCOUNT overrides the policy, which other OpenMP runtimes read
BRIEFLY = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}


def wait_briefly() -> None:
    """Set the environment of this process and its children, unless the user has set either
    variable. Call it before torch is imported."""
    if not BRIEFLY.keys() & os.environ.keys():
        os.environ.update(BRIEFLY)
