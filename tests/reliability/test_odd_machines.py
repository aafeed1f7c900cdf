"""Machines without a GPU, a home, a terminal, colours, or letters beyond ASCII."""

import os
from pathlib import Path

import pytest
import torch

from tests.reliability.tools import SMALL, command, completed, environment


@pytest.mark.long
def test_no_home_no_terminal_no_colour_no_utf8_forty_columns(tmp_path: Path) -> None:
    bare = environment(
        LC_ALL="POSIX", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", NO_COLOR="1", COLUMNS="40",
        TERM="dumb", CUDA_VISIBLE_DEVICES="",
    )  # fmt: skip
    for name in ("HOME", "XDG_CACHE_HOME", "LANG", "PYTHONIOENCODING"):
        bare.pop(name, None)
    argv = [arg for arg in SMALL if arg != "--quiet"]
    code, out, err = command(*argv, "--out", "run", cwd=tmp_path, env=bare)
    assert code == 0 and "\x1b" not in out + err and "Traceback" not in err
    assert (out + err).isascii() and "tuning: 4 trials" in err
    completed("report", "run", cwd=tmp_path, env=bare)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    code, _, err = command(*SMALL, "--device", "cuda:7", cwd=tmp_path)
    assert code == 3 and len(err.splitlines()) == 1
    assert "--device cuda:7" in err and "use --device cpu" in err
    assert os.listdir(tmp_path) == []
