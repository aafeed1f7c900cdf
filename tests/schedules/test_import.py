"""Schedules answer at once: no torch, no numpy, and little else."""

from __future__ import annotations

import json
import subprocess
import sys

CODE = """
import json, sys, time
start = time.process_time()
import lrbench.schedules as schedules
bare = sorted(sys.modules)
schedules.parse("warmup(5%) + cosine").table(lr=0.1, steps=1000, steps_per_epoch=100)
schedules.check(schedules.parse("step(30)"), 0.1, 1000, 100)
names = [entry.name for entry in schedules.catalogue()]
heavy = [name for name in ("torch", "numpy", "pydantic", "rich", "typer", "pandas")
         if name in sys.modules]
print(json.dumps([heavy, len(names), time.process_time() - start]))
"""


def test_no_torch_and_no_waiting() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60
    )
    heavy, names, cpu_s = json.loads(done.stdout)
    assert heavy == []
    assert names > 30
    assert cpu_s < 0.5
