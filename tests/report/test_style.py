import subprocess
import sys
from pathlib import Path

from lrbench.report.style import MARKERS, PALETTE, figure, looks, save


def test_a_schedule_keeps_its_colour_whatever_comes_after_it() -> None:
    few, more = looks(["a", "b"]), looks(["a", "b", "c", "a"])
    assert few["b"] == more["b"] and list(more) == ["a", "b", "c"]


def test_twenty_schedules_look_different() -> None:
    assert len(set(looks([f"s{i}" for i in range(20)]).values())) == 20
    assert len(PALETTE) == len(set(PALETTE)) and len(MARKERS) == len(set(MARKERS))


def test_the_suffix_decides(tmp_path: Path) -> None:
    assert save(figure(), tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in save(figure(), tmp_path / "deep" / "a.svg").read_bytes()


def test_pyplot_is_not_needed() -> None:
    code = (
        "import sys; from lrbench.report.style import *; render(figure());"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
