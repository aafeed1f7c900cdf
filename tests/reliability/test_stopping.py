"""Ctrl-C and SIGTERM, once and twice, in a step that takes longer than anybody waits."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.reliability.tools import SMALL, environment, finish, plugin, start, wait_for

STUCK = """
import hashlib, pathlib
from torch import nn
from lrbench.models import MODELS

@MODELS.register("stuck", "a step that never ends, deep in C")
def stuck(image_shape, classes):
    size = image_shape[0] * image_shape[1] * image_shape[2]
    class Stuck(nn.Sequential):
        def forward(self, x):
            pathlib.Path("entered").touch()
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
    return Stuck(nn.Flatten(), nn.Linear(size, classes))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("times", [1, 2])
def test_a_step_that_does_not_end_is_left_after_three_seconds_or_at_once(
    tmp_path: Path, number: int, code: int, times: int
) -> None:
    env = environment(plugin(tmp_path / "plugins", "stuck", STUCK))
    process = start(*SMALL, "--model", "stuck", "--out", "run", cwd=tmp_path, env=env)
    wait_for((tmp_path / "entered").exists)
    began = time.monotonic()
    process.send_signal(number)
    if times == 2:
        time.sleep(0.3)
        process.send_signal(number)
    found, _, said = finish(process, 20)
    took_s = time.monotonic() - began
    assert found == code
    assert "lrbench compare --resume run" in said and len(said.splitlines()) == 1
    assert took_s < (1.5 if times == 2 else 4.5)
