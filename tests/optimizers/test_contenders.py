"""Optimizers without a schedule: two sets of weights, batch norm, place in a plan."""

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from lrbench.__main__ import run
from lrbench.engine.method import NORM_BATCHES, renew_batch_norm
from lrbench.options import Arm, CompareSpec, Recipe
from lrbench.plan import plan
from tests.engine.tools import epochs_of, records
from tests.toys import Line, trial

pytest.importorskip("schedulefree", reason="the extra 'contenders' is not installed")
pytest.importorskip("prodigyopt", reason="the extra 'contenders' is not installed")


def test_it_is_judged_by_the_averaged_weights() -> None:
    """The loss that is recorded is that of the packages' own recipe: train(), step, eval()."""
    from schedulefree import SGDScheduleFree

    task = Line()
    spec = trial(recipe=Recipe(optimizer="schedulefree_sgd", weight_decay=0.0), lr=0.3, epochs=2)
    recorded = [r.val_loss for r in epochs_of(records(task, spec))]

    model, found = task.model(0), []
    optimizer = SGDScheduleFree(model.parameters(), lr=0.3, momentum=0.9)
    for epoch in range(2):
        optimizer.train()
        for batch in task.train_batches(0, epoch):
            optimizer.zero_grad()
            task.loss(model, batch).backward()
            optimizer.step()
        optimizer.eval()
        found.append(task.evaluate(model, "val")["loss"])
    assert recorded == pytest.approx(found, rel=1e-6)


class Normed(Line):
    """The same problem through a batch norm."""

    def evaluate(self, model: nn.Module, split: str) -> Mapping[str, float]:
        return super().evaluate(model.eval(), split)

    def model(self, seed: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def test_batch_norm_statistics_are_renewed_as_torch_does_for_averaged_weights() -> None:
    task = Normed()
    ours, theirs = task.model(0), task.model(0)
    renew_batch_norm(task, ours, seed=0, epoch=1)
    update_bn(islice(task.train_batches(0, 1), NORM_BATCHES), theirs)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    assert ours[1].momentum == 0.1


def test_an_arm_with_a_centre_of_its_own_needs_no_range_test() -> None:
    prodigy = Arm(name="p", changes=(("optimizer", "prodigy"),), schedule="constant", lr=1.0)
    spec = CompareSpec(schedules=("constant",), arms=(prodigy,), lr_points=3, tuning_seeds=1)
    first = plan(spec, {}, {}, {128: 28})
    assert first.find is not None and first.find.recipe.optimizer == "sgd"
    tuning = plan(spec, {}, {first.find.id: {"lr": 0.1, "max_stable_lr": 1.2}}, {128: 28})
    lrs = {name: sorted(t.lr for t in tuning.trials if t.name == name) for name in spec.entrants}
    assert lrs == {"constant": [0.05, 0.1, 0.2], "p": [0.5, 1.0, 2.0]}


@pytest.mark.long
def test_it_stands_in_the_ranking(tmp_path: Path, capsys: Any) -> None:
    out = str(tmp_path / "run")
    options = ["compare", "--dataset", "synthetic", "--model", "mlp", "--epochs", "1",
               "--lr-points", "3", "--tuning-seeds", "1", "-s", "constant", "--seeds", "2",
               "--contender", "prodigy", "--threads", "1", "--out", out]  # fmt: skip
    assert run([*options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["schedule"] for row in found["ranking"]} == {"constant", "prodigy"}


def test_it_needs_the_lr_of_a_range_test(capsys: Any) -> None:
    assert run(["compare", "--contender", "prodigy", "--lr", "0.1"]) == 2
    assert "--arm prodigy needs --lr auto" in capsys.readouterr().err
