"""docs/recipes.md: every command and every script in it, in its order."""

import re
import shlex
from pathlib import Path

import pytest

from lrbench.__main__ import run
from tests.data.makers import image_folder

TEXT = (Path(__file__).parents[1] / "docs" / "recipes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.long
def test_every_recipe_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    image_folder(tmp_path / "photos", per_class=30)
    answers = {}
    for kind, block in BLOCKS:
        if kind == "python":
            exec(block, {})
            continue
        for line in block.splitlines():
            words = shlex.split(line)[1:]
            wanted = (0, 1) if words[0] == "find" or "folder:photos" in words else (0,)
            assert run([*words, *["--threads", "1"] * (words[0] != "report")]) in wanted, line
            answers[line] = capsys.readouterr().out
    said = "\n".join(answers.values())
    assert "cosine @ 0.02" in said and "linear @ 0.05" in said
    assert r"\toprule" in (tmp_path / "ranking.tex").read_text()
    assert (tmp_path / "runs" / "photos" / "ranking.csv").exists()
