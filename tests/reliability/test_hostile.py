"""Input that means harm, or is merely wrong, does nothing but earn a line."""

import hashlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from lrbench.__main__ import run
from lrbench.engine import checkpoint
from lrbench.engine.train import begin
from tests.reliability.tools import command, environment, plugin
from tests.toys import Line, trial


@pytest.mark.parametrize(
    "fault", ["raise RuntimeError('\\x1b[31mbroken')", "import sys; sys.exit(7)"]
)
def test_a_broken_plugin_is_named_and_the_rest_works(tmp_path: Path, fault: str) -> None:
    env = environment(plugin(tmp_path / "plugins", "broken", fault))
    code, out, err = command("compare", "--help", cwd=tmp_path, env=env)
    assert code == 0 and "lenet" in out
    (line,) = err.splitlines()
    assert line.startswith("lrbench: warning: plug-in 'broken' for models was skipped")
    assert "\x1b" not in err


def test_a_wrong_name_of_a_dataset_blames_what_was_typed(capsys: Any) -> None:
    for deed in ("check", "fetch"):
        for name, words in (("mnist5", "unknown dataset 'mnist5'"), ("folder:", "needs a path")):
            assert run(["data", deed, name]) == 2
            err = capsys.readouterr().err
            assert words in err and "NAME" in err and "--dataset" not in err


NAMES = ("../../x", "/etc/passwd", "[/red]", "\x1b]0;owned\x07", "=cmd()", "nul\0", "\u202egnp.exe",
         "x" * 1_000_000, "a" * 300 + "/" + "b" * 300, "-rf", "名前", "")  # fmt: skip
OPTIONS = ("--dataset", "--model", "--optimizer", "-s", "--lr", "--reference",
           "--metric", "--device", "--trial-timeout", "--resume", "--config")  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_hostile_text_is_one_clean_line_and_touches_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, option: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for text in NAMES:
        code = run(["compare", "--dataset", "synthetic", f"{option}={text}", "--quiet"]
                   if option.startswith("--") else ["compare", option, text])  # fmt: skip
        said = capsys.readouterr().err
        assert code in (2, 3), (option, text[:40], said[:200])
        assert len(said.splitlines()) == 1 and len(said) < 5000, (option, text[:40])
        assert said.removesuffix("\n").isprintable(), (option, text[:40])
    assert list(tmp_path.iterdir()) == []


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("as_torch", [False, True])
def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, as_torch: bool) -> None:
    """Even where whoever wrote it sealed it as we do."""
    memory = io.BytesIO()
    if as_torch:
        torch.save({"trial": trial().id, "model": Bomb(tmp_path / "ran")}, memory)
    else:
        memory.write(pickle.dumps(Bomb(tmp_path / "ran")))
    content = memory.getvalue()
    path = tmp_path / "state.pt"
    for whole in (content, content + hashlib.sha256(content).digest()):
        path.write_bytes(whole)
        assert not checkpoint.restore(begin(Line(), trial()), path)
    assert not (tmp_path / "ran").exists()
