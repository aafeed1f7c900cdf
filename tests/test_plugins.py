"""The user's own code by name: found, called as its signature asks, and held to its sources."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from lrbench import plugins
from lrbench.errors import UsageError

OFFERED = {"image_shape": (1, 28, 28), "classes": 10}


def called(function: Any) -> Any:
    return plugins.call("m:f", function, OFFERED, option="--model", extra={"num_classes": 10})


def test_a_function_gets_what_its_signature_asks_for() -> None:
    shape = (1, 28, 28)
    assert called(lambda image_shape, classes: (image_shape, classes)) == (shape, 10)
    assert called(lambda classes, image_shape: (image_shape, classes)) == (shape, 10)
    assert called(lambda num_classes=3, width=8: (num_classes, width)) == (10, 8)
    assert called(lambda a, b: (a, b)) == (shape, 10)
    assert called(lambda: "bare") == "bare"
    assert called(lambda *args, **words: (args, words)) == ((), {})
    assert called(lambda classes, /, width=2: (classes, width)) == (10, 2)


@pytest.mark.parametrize("function", [lambda a: a, lambda a, b, c: a, lambda classes, *, depth: 0])
def test_another_signature_is_one_line_that_says_both(function: Any) -> None:
    with pytest.raises(UsageError, match=r"--model m:f: it needs \(.*called as f\(image_shape"):
        called(function)


def test_what_the_users_code_raises_is_one_line_with_its_place(own_pkg: Path) -> None:
    function = plugins.load_callable("own_pkg.nets:raises", "--model")
    line = (own_pkg / "nets.py").read_text().split("\n").index('    raise KeyError("mine")') + 1
    with pytest.raises(UsageError) as caught:
        plugins.call("own_pkg.nets:raises", function, OFFERED, option="--model")
    said = f"--model own_pkg.nets:raises: KeyError: 'mine' (nets.py, line {line})"
    assert str(caught.value) == said
    assert isinstance(caught.value.__cause__, KeyError)


def test_the_place_is_the_users_own_and_not_one_in_pythons_library() -> None:
    def reads() -> None:
        json.loads("{")

    with pytest.raises(ValueError, match="Expecting") as caught:
        reads()
    line = reads.__code__.co_firstlineno + 1
    assert plugins.place_of(caught.value) == f" (test_plugins.py, line {line})"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own_pkg.nets:bild", "has no 'bild'; did you mean build?"),
        ("own_pkg.net:build", "there is no module 'own_pkg.net'"),
        (":build", "write it as module:attribute"),
        ("own_pkg.layers:WIDTH", "must be a function or a class, not int"),
        ("own_pkg.broken:f", "is not valid Python"),
        ("own_pkg.raising:f", "ValueError: at import (raising.py, line 1)"),
        ("own_pkg.needs:f", "ModuleNotFoundError: No module named 'not_there'"),
    ],
)
def test_a_wrong_name_is_one_line(own_pkg: Path, name: str, words: str) -> None:
    (own_pkg / "broken.py").write_text("def f(:\n")
    (own_pkg / "raising.py").write_text("raise ValueError('at import')\n")
    (own_pkg / "needs.py").write_text("import not_there\n")
    with pytest.raises(UsageError, match="--model") as caught:
        plugins.load_callable(name, "--model")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_sources_of_a_name_are_what_it_imports_of_its_own(own_pkg: Path) -> None:
    found = plugins.sources("own_pkg.nets:build")
    assert set(found) == {"own_pkg/__init__.py", "own_pkg/nets.py", "own_pkg/layers.py"}
    content = (own_pkg / "layers.py").read_bytes()
    assert found["own_pkg/layers.py"] == hashlib.sha256(content).hexdigest()
    assert set(plugins.sources("own_pkg.opt:Signed")) == {"own_pkg/__init__.py", "own_pkg/opt.py"}


def test_the_sources_of_a_single_file_are_its_neighbours_too(
    own_pkg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own_pkg.parent
    (folder / "own_beside.py").write_text("x = 3\n")
    (folder / "own_single.py").write_text(
        "import math\nimport torch\nfrom own_beside import x\ndef f(): return x\n"
    )
    assert set(plugins.sources("own_single:f")) == {"own_beside.py", "own_single.py"}


def test_an_object_has_its_own_name_or_is_lent_one() -> None:
    assert plugins.load(plugins.name_of(pytest.raises)) is pytest.raises
    with plugins.lending():
        first, second = (lambda: 1), (lambda: 2)
        names = [plugins.name_of(first), plugins.name_of(second), plugins.name_of(first)]
        assert names[0] == names[2] != names[1]
        assert [plugins.load(name)() for name in names] == [1, 2, 1]
    with pytest.raises(UsageError, match="no module"):
        plugins.load(names[0])
