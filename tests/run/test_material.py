"""What a run was made with: sources, weights and data are held against those of its beginning."""

from pathlib import Path

import pytest

from lrbench.errors import UsageError
from lrbench.options import Recipe
from lrbench.run.material import code_of, refuse_changes


def test_everything_of_the_users_is_in_it_and_nothing_else(
    own_pkg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"abc")
    (tmp_path / "own_rate.py").write_text("def half(step): return 0.5\n")
    (tmp_path / "own_tail.py").write_text("def third(step): return 0.3\n")
    recipe = Recipe(
        model="own_pkg.nets:build", optimizer="own_pkg.opt:Signed", loss="own_pkg.parts:smooth",
        weights=str(weights), groups=("*.bias schedule=own_tail:third",),
    )  # fmt: skip
    found = code_of([recipe], ["cosine", "warmup + own_rate:half"])
    assert set(found) == {
        "own_pkg/__init__.py", "own_pkg/nets.py", "own_pkg/layers.py", "own_pkg/opt.py",
        "own_pkg/parts.py", "own_rate.py", "own_tail.py", str(weights),
    }  # fmt: skip
    assert found[str(weights)].startswith("ba7816bf")  # SHA-256 of "abc", FIPS 180-2
    monkeypatch.setenv("HOME", str(tmp_path))
    assert code_of([Recipe(weights="~/weights.pt")]) == {"~/weights.pt": found[str(weights)]}
    assert code_of([Recipe()], ["cosine"]) == {}


def test_a_change_is_refused_by_its_file() -> None:
    before = {"code": {"a.py": "1", "b.py": "2"}, "data": {"name": "m:load", "digest": "d"}}
    refuse_changes(before, {"a.py": "1", "c.py": "3"}, "d")
    refuse_changes({}, {"a.py": "1"}, "d")
    with pytest.raises(UsageError, match=r"^b\.py has changed since this run was started; undo"):
        refuse_changes(before, {"b.py": "3"}, "d")
    with pytest.raises(UsageError, match="data of m:load has changed since this run"):
        refuse_changes(before, {}, "e")
