from __future__ import annotations

import pytest

from lrbench.cli.common import run_name
from lrbench.experiment import Recipe


@pytest.mark.parametrize(
    "parts",
    [
        {"dataset": "folder:../../x", "model": "mlp"},
        {"dataset": "folder:/tmp/[/red]", "model": "a b\tc\n:net"},
        {"task": "../..:Task"},
    ],
)
def test_a_folders_name_has_only_letters_that_every_file_system_takes(
    parts: dict[str, str],
) -> None:
    name = run_name("compare", Recipe.model_construct(**{**dict(Recipe()), **parts}), "0123456789")
    assert name.startswith("compare-") and name.endswith("-01234567")
    assert not set(name) & set("/\\:[] \t\n") and ".." not in name.split("-")
