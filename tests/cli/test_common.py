from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from lrbench.options import Recipe
from lrbench.session.place import run_name


@pytest.mark.parametrize(
    "parts",
    [
        {"dataset": "folder:../../x", "model": "mlp"},
        {"dataset": "folder:/tmp/[/red]", "model": "a b\tc\n:net"},
        {"task": "../..:Task"},
    ],
)
def test_a_folders_name_has_letters_that_every_file_system_takes(parts: dict[str, str]) -> None:
    name = run_name("compare", Recipe.model_construct(**{**dict(Recipe()), **parts}), "0123456789")
    assert name.startswith("compare-") and name.endswith("-01234567")
    assert not set(name) & set("/\\:[] \t\n") and ".." not in name.split("-")


@pytest.mark.parametrize("command", ["find", "compare"])
def test_a_file_for_a_folder_names_its_option(tmp_path: Path, capsys: Any, command: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    assert run([command, "--dataset", "synthetic", "--out", str(path)]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"lrbench: error: --out {path}: it is a file, but a run needs a folder"
    assert path.read_text() == "mine"
