"""Input that means harm, or is merely wrong, does nothing but earn a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.tools import command, environment, plugin


@pytest.mark.parametrize(
    "fault", ["raise RuntimeError('\\x1b[31mbroken')", "import sys; sys.exit(7)"]
)
def test_a_broken_plugin_is_named_and_the_rest_works(tmp_path: Path, fault: str) -> None:
    env = environment(plugin(tmp_path / "plugins", "broken", fault))
    code, out, err = command("compare", "--help", cwd=tmp_path, env=env)
    assert code == 0 and "lenet" in out
    (line,) = err.splitlines()
    assert line.startswith("lrbench: warning: plug-in 'broken' for models was left out")
    assert "\x1b" not in err


def test_a_wrong_name_of_a_dataset_blames_what_was_typed(tmp_path: Path) -> None:
    for deed in ("check", "fetch"):
        for name, words in (("mnist5", "unknown dataset 'mnist5'"), ("folder:", "needs a path")):
            code, _, err = command("data", deed, name, cwd=tmp_path)
            assert code == 2 and words in err and "NAME" in err and "--dataset" not in err
