"""The training loop: what it computes, what it records, when it gives up."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR, StepLR

from lrbench.engine.train import begin, train
from lrbench.options import Recipe, TrialSpec
from lrbench.records import CutRecord, TrialEnd
from tests.engine.tools import epochs_of, images, in_turns, records, steps_of, timeless
from tests.toys import Line, trial

SCHEDULES: dict[str, Any] = {  # over 3 epochs of 4 steps
    "StepLR(step_size=1, gamma=0.5)": lambda o: StepLR(o, 4, 0.5),
    "OneCycleLR(max_lr=0.2)": lambda o: OneCycleLR(o, 0.2, total_steps=12),
    "onecycle": lambda o: OneCycleLR(o, 0.1, total_steps=12),
    "cosine": lambda o: CosineAnnealingLR(o, 12),
    "linear": lambda o: LinearLR(o, 1.0, 0.0, 12),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_it_is_the_loop_that_everybody_writes(schedule: str) -> None:
    """With torch's own scheduler stepped per batch, whose LR and momentum are recorded."""
    spec = trial(schedule=schedule, recipe=Recipe(momentum=0.9, weight_decay=5e-4))
    found = records(Line(), spec, record_steps=True)
    task, losses, used = Line(), [], []
    model = task.model(spec.seed)
    optimizer = SGD(model.parameters(), lr=spec.lr, momentum=0.9, weight_decay=5e-4)
    scheduler = SCHEDULES[schedule](optimizer)
    for epoch in range(spec.epochs):
        for batch in task.train_batches(spec.seed, epoch):
            loss = task.loss(model, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            used.append([optimizer.param_groups[0][name] for name in ("lr", "momentum")])
            if len(used) < 12:  # OneCycleLR has no more
                scheduler.step()
    steps, ended = steps_of(found), epochs_of(found)
    assert [r.train_loss for r in steps] == pytest.approx(losses, rel=1e-5)
    assert [r.lr for r in steps] == pytest.approx([lr for lr, _ in used], rel=1e-9, abs=1e-15)
    assert [r.momentum for r in steps] == pytest.approx([m for _, m in used], rel=1e-9)
    assert [e.lr_first for e in ended] == [r.lr for r in steps[::4]]
    assert [e.lr_last for e in ended] == [r.lr for r in steps[3::4]]
    assert ended[-1].val_loss == pytest.approx(Line().evaluate(model, "val")["loss"], rel=1e-4)


def test_the_records_of_a_good_trial() -> None:
    found = records(Line(), trial())
    *epochs, end = found
    assert [(e.epoch, e.step) for e in epochs] == [(1, 4), (2, 8), (3, 12)]
    assert all(e.val_accuracy is None and e.train_accuracy is None for e in epochs)
    assert end == TrialEnd(
        trial().id, "done", "", 3, 12, end.start_loss, train_s=end.train_s,
        throughput_img_s=end.throughput_img_s,
    )  # fmt: skip
    assert epochs[-1].train_loss < epochs[0].train_loss
    assert end.train_s == pytest.approx(sum(e.train_s for e in epochs))


def test_the_test_set_is_read_once_by_a_final_trial_and_never_by_a_tuning_one() -> None:
    tuning, final = Line(), Line()
    assert records(tuning, trial())[-1].test_loss is None
    end = records(final, trial(stage="final"))[-1]
    assert (tuning.tests_read, final.tests_read) == (0, 1)
    assert end.test_loss is not None


def test_a_loss_that_is_not_finite_ends_the_trial_at_its_step() -> None:
    found = records(Line(poison_epoch=1), trial(stage="final"), record_steps=True)
    end = found[-1]
    assert (end.status, end.steps, end.epochs) == ("diverged", 6, 1)
    assert "step 6 (epoch 2)" in end.reason and end.test_loss is None
    assert [r.step for r in steps_of(found) if r.train_loss is None] == [6, 7]


def test_an_evaluation_without_a_finite_score_ends_the_trial() -> None:
    class Unscored(Line):
        bad = ""

        def evaluate(self, model: nn.Module, split: str) -> Mapping[str, float]:
            return {"loss": math.nan} if split == self.bad else super().evaluate(model, split)

    for split, epochs in (("val", 1), ("test", 3)):
        task = Unscored()
        task.bad = split
        end = records(task, trial(stage="final"))[-1]
        assert (end.status, end.epochs, end.test_loss) == ("diverged", epochs, None)
        assert end.reason.startswith(f"no {'validation' if split == 'val' else split} score")


def test_plateau_cuts_are_recorded_and_lower_the_lr_of_the_next_epoch() -> None:
    spec = trial(schedule="plateau(metric=val_loss, patience=0, factor=0.5)", lr=1e-6, epochs=6)
    found = records(Line(), spec)
    cuts = [r for r in found if isinstance(r, CutRecord)]
    lrs = {r.epoch: r.lr_first for r in epochs_of(found)}
    assert cuts
    for cut in cuts:
        assert cut.new_lr == pytest.approx(cut.old_lr / 2)
        assert lrs.get(cut.epoch + 1, cut.new_lr) == cut.new_lr


def test_the_same_bits_alone_in_another_order_and_in_turns() -> None:
    """Of three trials, the second of which overflows."""
    recipe = Recipe(batch_size=16, val_fraction=0.2)
    trials = [
        TrialSpec(recipe=recipe, schedule=s, lr=lr, seed=seed, stage="final", epochs=3)
        for s, lr, seed in (("cosine", 0.05, 0), ("constant", 1e30, 1), ("onecycle", 0.02, 2))
    ]
    alone = [timeless(records(images(recipe), spec)) for spec in trials]
    assert [found[-1].status for found in alone] == ["done", "diverged", "done"]
    task = images(recipe)
    assert [timeless(records(task, spec)) for spec in trials[::-1]] == alone[::-1]
    assert in_turns([train(task, begin(task, spec)) for spec in trials]) == alone
