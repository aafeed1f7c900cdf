"""docs/own.md says nothing that does not work."""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import lrbench
from lrbench.__main__ import run

TEXT = (Path(__file__).parents[1] / "docs" / "own.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
FILES = {
    text.splitlines()[0].removeprefix("# file: "): text
    for text in PYTHON
    if text.startswith("# file: ")
}
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line]
OFFLINE = [line for line in COMMANDS if "cifar10" not in line]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
        monkeypatch.delitem(sys.modules, name.removesuffix(".py"), raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_there_is_something_to_test() -> None:
    assert set(FILES) == {"my_nets.py", "my_data.py", "my_task.py"}
    assert len(OFFLINE) >= 8
    assert len(COMMANDS) == len(OFFLINE) + 1


@pytest.mark.parametrize("line", OFFLINE)
def test_every_command_opens_all_that_it_names(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *argv = shlex.split(line)
    assert program == "lrbench"
    dry = ["--dry-run", "--device", "cpu"] if argv[0] in ("find", "compare") else []
    assert run([*argv, *dry]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("text", [text for text in PYTHON if text.startswith("# run")])
def test_what_is_said_to_run_runs(text: str, folder: Path) -> None:
    names: dict[str, object] = {}
    exec(compile(text, "own.md", "exec"), names)
    if "scheduler" in names:
        optimizer = names["optimizer"]
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-3)  # type: ignore[attr-defined]
    else:
        assert (folder / "lr.png").stat().st_size > 1000
        assert "cosine" in (folder / "report.html").read_text(encoding="utf-8")


STEPS = re.findall(r"^\| ([^|`]+) \| `(lrbench\.find\(.*\))` \|$", TEXT, re.MULTILINE)


class Standing(nn.Module):
    """In the place of a LightningModule, of a HuggingFace model and of a plain one."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Any:
        logits = self.layer(x)
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return logits if loss is None else SimpleNamespace(loss=loss, logits=logits)

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        return nn.functional.cross_entropy(self.layer(batch[0]), batch[1])


@pytest.mark.parametrize(("what", "line"), STEPS)
def test_other_modules_and_batches_take_one_line(what: str, line: str) -> None:
    assert len(STEPS) == 3
    x = torch.randn(128, 4, generator=torch.Generator().manual_seed(0))
    keys = ("x", "labels") if "HuggingFace" in what else ("x", "y")
    items: list[Any] = list(zip(x, (x[:, 0] > 0).long(), strict=True))
    if "Lightning" not in what:
        items = [dict(zip(keys, item, strict=True)) for item in items]
    model = Standing()
    names = {
        "lrbench": lrbench, "model": model, "module": model, "loss_fn": nn.CrossEntropyLoss(),
        "loader": DataLoader(items, 16), "optimizer": torch.optim.AdamW(model.parameters(), 1e-3),
    }  # fmt: skip
    result = eval(line, names)
    assert result.lr is not None and 1e-3 < result.lr < 10


CHECKED = [text for text in PYTHON if text.startswith("# check")]
ROOT = Path(__file__).parents[1]
STUBS = ROOT / "tests" / "assets" / "stubs"  # of packages too heavy to install for a snippet


def complaints(folder: Path, texts: Sequence[str]) -> str:
    """What mypy has to say of the snippets, each a file of its own."""
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    files = [folder / f"snippet_{place}.py" for place in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    stubbed = [path for path in STUBS.iterdir() if find_spec(path.name) is None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYPYPATH", os.pathsep.join(map(str, [ROOT, *stubbed])))
        flags = ["--config-file=", "--strict", "--no-error-summary"]
        cache = ["--cache-dir", str(ROOT / ".mypy_cache")]
        found: tuple[str, str, int] = api.run([*flags, *cache, *map(str, files)])
    return found[0] + found[1]


@pytest.mark.long
def test_what_needs_other_packages_has_the_right_types(tmp_path: Path) -> None:
    assert len(CHECKED) == 2
    wrong = [
        CHECKED[0].replace(" or 1)", ")"),  # it may be None
        CHECKED[0].replace('"scheduler": scheduler', '"scheduler": steps'),
        CHECKED[1].replace("optimizer, steps, steps_per_epoch", "optimizer, steps"),
        CHECKED[1].replace("num_train_epochs", "train_epochs"),
    ]
    assert not set(wrong) & set(CHECKED)
    said = complaints(tmp_path, [*CHECKED, *wrong])
    blamed = {line.partition(":")[0].rpartition("/")[2] for line in said.splitlines()}
    assert blamed == {f"snippet_{place}.py" for place in range(2, 6)}, said
