"""A trainer on a node that has neither the user's files nor the data; no Ray is needed for it."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from lrbench.data import load
from lrbench.execute import Host, Workbench, ray_worker, trial
from lrbench.execute.cluster import Nodes, Remote
from lrbench.execute.ray_worker import Kit, Trainer
from lrbench.execute.worker import Brief
from lrbench.options import Recipe
from lrbench.records import TrialEnd
from lrbench.run.material import code_of, luggage
from lrbench.run.store import Run
from tests.toys import trial as toy

Said = list[dict[str, Any]]
Made = Callable[..., tuple[Trainer, Said]]
NETS = (
    "from torch import nn\nfrom parts import wide\n"
    "def net(image_shape, classes):\n    return nn.Sequential(nn.Flatten(), wide(classes))\n"
)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    said: Said = []
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=lambda found: found))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    inbox = SimpleNamespace(put=SimpleNamespace(remote=said.append))

    def make(
        recipe: Recipe, luggage: Mapping[str, bytes] = MappingProxyType({}), **host: Any
    ) -> tuple[Trainer, Said]:
        monkeypatch.chdir(Path.cwd())  # to be put back
        bench = Workbench(recipe, Host(device="cpu", threads=1, **host))
        brief = Brief.of(bench, Run(Path("unused"))).model_dump_json()
        return Trainer(0, inbox, brief, Kit(luggage, (), "/nowhere", True, 1)), said

    return make


def test_the_users_modules_travel(
    tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "parts.py").write_text("from torch import nn\nwide = nn.LazyLinear\n")
    recipe = Recipe(dataset="synthetic", model="nets:net")
    with monkeypatch.context() as here:
        here.syspath_prepend(tmp_path)
        carried, digests = luggage([recipe], ()), code_of([recipe])
        for name in ("nets", "parts"):
            del sys.modules[name]
    for path in tmp_path.glob("*.py"):
        path.unlink()
    trainer, said = made(recipe, luggage=carried)
    trainer.open()
    assert said[-1]["ready"]["code"] == digests and len(digests) == 2
    for name in ("nets", "parts"):
        assert str(trainer.scratch) in str(sys.modules.pop(name).__file__)
    assert os.getcwd() == str(trainer.scratch / "code")


def test_a_node_without_the_data_asks_for_them(tmp_path: Path, made: Made) -> None:
    recipe = Recipe(dataset="mnist", model="mlp")
    trainer, said = made(recipe, data_dir=tmp_path)
    trainer.open()
    assert said[-1] == {"worker": 0, "wanted": "data"}
    data = load("synthetic")
    trainer.open(data)
    assert said[-1]["ready"]["data"] == data.digest


def test_a_trial_is_sent_written_once_and_continued(
    tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then again from the second checkpoint on, as after a death."""
    monkeypatch.setattr(trial, "CHECKPOINT_S", -1.0)
    monkeypatch.setattr(ray_worker, "CHECKPOINTS_S", -1.0)
    monkeypatch.setattr(ray_worker, "CHECKPOINTS_BYTES_S", 1e12)
    recipe = Recipe(dataset="synthetic", model="mlp")
    trainer, said = made(recipe)
    trainer.open()
    spec = toy(recipe=recipe, schedule="cosine", epochs=4)
    run = Run(tmp_path)
    crew = Nodes(Workbench(recipe, Host(device="cpu", threads=1)), run, 1, None, None)
    actor: Any = SimpleNamespace(train=SimpleNamespace(remote=trainer.train))

    def trained(upto: int) -> list[Any]:
        """The records of the first messages of the trial, as the driver takes them."""
        worker = Remote(0, actor, None)
        worker.trial = spec
        said.clear()
        crew.give(worker, spec)
        taken = [crew._received(worker, message) for message in said[:upto]]
        return [record for part in taken for _, records in part for record in records]

    whole = trained(99)
    assert [getattr(record, "epoch", "end") for record in whole] == [1, 2, 3, 4, "end"]
    first = Run(tmp_path).histories[spec.id]
    run.forget(spec.id)
    assert len(trained(3)) == 2 and run.state_path(spec.id).exists()
    again = trained(99)
    assert [getattr(record, "epoch", "end") for record in again] == [3, 4, "end"]
    assert isinstance(again[-1], TrialEnd) and not run.state_path(spec.id).exists()
    resumed = Run(tmp_path).histories[spec.id]
    assert [e.train_loss for e in resumed.epochs] == [e.train_loss for e in first.epochs]
