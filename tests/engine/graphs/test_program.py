"""Epochs of `--graph`. On a CPU the step is called instead of replayed and must give the bits of
the plain loop; on a GPU it is compared with that loop."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lrbench.engine import checkpoint
from lrbench.engine.device import apply_precision, make_deterministic
from lrbench.engine.graphs import program
from lrbench.engine.graphs.capture import forbid_sync
from lrbench.engine.graphs.program import Program, why_eager, why_not
from lrbench.engine.train import Training, begin, steps, train
from lrbench.errors import UsageError
from lrbench.execute import Host, Workbench
from lrbench.execute import trial as run_trial_module
from lrbench.execute.serial import serial
from lrbench.execute.trial import run_trial
from lrbench.options import Recipe, TrialSpec
from lrbench.records import StepRecord, TrialEnd
from lrbench.run.conditions import notices
from lrbench.run.store import Run
from tests.engine.tools import CUDA, METHODS, epochs_of, images, in_turns, on_cuda, same, timeless
from tests.toys import Line
from tests.toys import trial as toy

SMALL = {"model": "mlp", "batch_size": 16, "val_fraction": 0.2}
RECIPES = {
    **{name: Recipe(**{**SMALL, **changes}) for name, changes in METHODS.items()},
    "adam": Recipe(optimizer="adam", **SMALL),
    "adamw, groups": Recipe(optimizer="adamw", **METHODS["groups"], **SMALL),
}


def trial(recipe: Recipe, **changes: Any) -> TrialSpec:
    usual = {"schedule": "warmup(2it) + cosine", "lr": 0.05, "stage": "final"}
    return toy(recipe=recipe, **{**usual, **changes})


def trained(task: Any, spec: TrialSpec, by: Program | None) -> tuple[list[Any], Training]:
    training = begin(task, spec)
    train_by = by.train if by else train
    return timeless(train_by(task, training, record_steps=True)), training


def concluded(bench: Workbench, folder: Path, spec: TrialSpec) -> TrialEnd:
    """How a trial ends in a run directory."""
    run = Run(folder)
    list(run_trial(bench, run, spec))
    end = run.histories[spec.id].end
    assert end is not None
    return end


def contents(training: Training) -> list[Tensor]:
    """Weights, buffers and all of the optimizer's state."""
    state = training.optimizer.state_dict()["state"]
    kept = [value for each in state.values() for value in each.values() if value is not None]
    return [*training.model.state_dict().values(), *kept]


@pytest.mark.parametrize("name", RECIPES)
def test_on_a_cpu_it_leaves_the_bits_of_the_plain_loop(name: str) -> None:
    recipe = RECIPES[name]
    task, spec = images(recipe), trial(recipe)
    plain, ours = trained(task, spec, None), trained(task, spec, Program(task, recipe))
    assert ours[0] == plain[0]
    assert len(ours[0]) > 3 and ours[0][-1].status == "done"
    assert same(contents(ours[1]), contents(plain[1]))
    lrs = [[g["lr"] for g in training.optimizer.param_groups] for _, training in (ours, plain)]
    assert lrs[0] == lrs[1]


NEIGHBOURS: list[dict[str, Any]] = [
    {"lr": 0.02},
    {"lr": 1e30, "seed": 1},
    {"seed": 2, "schedule": "constant", "epochs": 2},
    {"seed": 3},
    {"seed": 4, "lr": 0.1},
]


@pytest.mark.parametrize(
    ("name", "copies"),
    [("adam", 1), ("averaged", 2), pytest.param("nesterov", 3, marks=pytest.mark.long)],
)
def test_trials_in_turns_leave_the_bits_they_leave_alone(name: str, copies: int) -> None:
    """Also next to one that overflows, and next to one that is shorter."""
    recipe = RECIPES[name]
    task = images(recipe)
    trials = [trial(recipe, **changes) for changes in NEIGHBOURS[:4]]
    alone = [trained(task, spec, None) for spec in trials]
    expected = [[r for r in found if not isinstance(r, StepRecord)] for found, _ in alone]
    ends = [found[-1].status for found, _ in alone]
    assert ends[:2] == ["done", "diverged"] and ends[3] == "done"
    by = Program(task, recipe, copies)
    trainings = [begin(task, spec) for spec in trials]
    assert in_turns([by.train(task, training) for training in trainings]) == expected
    for ours, (_, theirs), end in zip(trainings, alone, ends, strict=True):
        assert end != "done" or same(contents(ours), contents(theirs))


class Random(nn.Sequential):
    """Draws random numbers in its steps."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, classes))


def test_dropout_draws_what_it_draws_in_the_plain_loop_and_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Several trials would share the generator."""
    recipe = RECIPES["plain"]
    task, spec = images(recipe), trial(recipe)
    Program(task, recipe, copies=2)
    monkeypatch.setattr("lrbench.models.build", lambda *args, **kwargs: Random())
    assert trained(task, spec, None)[0] == trained(task, spec, Program(task, recipe))[0]
    with pytest.raises(UsageError, match="draws random numbers"):
        Program(task, recipe, copies=2)


def test_a_checkpoint_goes_on_with_or_without(tmp_path: Path) -> None:
    recipe = RECIPES["adam"]
    task, spec, path = images(recipe), trial(recipe), tmp_path / "state.pt"
    by = Program(task, recipe)
    whole = epochs_of(trained(task, spec, None)[0])
    for before, after in ((by, by), (by, None), (None, by)):
        first, second = begin(task, spec), begin(task, spec)
        next(before.train(task, first) if before else train(task, first))
        checkpoint.save(first, path)
        assert checkpoint.restore(second, path)
        rest = after.train(task, second) if after else train(task, second)
        assert timeless(epochs_of(rest)) == whole[1:]


def test_what_cannot_be_captured_says_why() -> None:
    task = images(RECIPES["plain"])
    assert why_not(task, RECIPES["plain"]) == ""
    assert "custom code" in why_not(Line(), Recipe())
    assert "custom code" in why_not(task, Recipe(augment="torch:sub"))
    assert "rmsprop does not read" in why_not(task, Recipe(optimizer="rmsprop"))
    assert "--opt" in why_not(task, Recipe(optimizer_options=("dampening=0.1",)))
    moved = begin(task, trial(RECIPES["plain"], schedule="onecycle"))
    assert why_eager(moved) == "the schedule moves the momentum"
    frozen = Recipe(groups=("*bias freeze=1ep",), **SMALL)
    assert why_eager(begin(task, trial(frozen))) == "a group is frozen at first"
    assert why_eager(begin(task, trial(RECIPES["plain"]))) == ""


RUN = Recipe(dataset="synthetic", model="mlp", batch_size=256)


def test_with_graph_a_run_says_which_trials_went_without(tmp_path: Path) -> None:
    bench = Workbench(RUN, Host(device="cpu", threads=1, graph=True))
    specs = trial(RUN), trial(RUN, schedule="onecycle")
    machines = [concluded(bench, tmp_path, spec).machine for spec in specs]
    assert all(machine["graph"] for machine in machines)
    why = "the schedule moves the momentum"
    assert [machine.get("eager") for machine in machines] == [None, why]
    (notice,) = notices({}, Run(tmp_path).histories.values())
    assert notice.message == f"--graph: 1 trials were trained without it: {why}"


@pytest.mark.parametrize("at_once", [pytest.param(2, marks=pytest.mark.long), 3])
def test_a_run_of_several_at_once_writes_what_a_plain_run_writes(
    tmp_path: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it is cut off in the middle."""
    trials = [trial(RUN, **changes) for changes in NEIGHBOURS]
    plain, run = Run(tmp_path / "plain"), Run(tmp_path / "run")
    with serial(Workbench(RUN, Host(device="cpu", threads=1)), plain) as train:
        list(train(trials))
    bench = Workbench(RUN, Host(device="cpu", threads=1, graph=True, at_once=at_once))
    monkeypatch.setattr(run_trial_module, "CHECKPOINT_S", -1.0)
    with serial(bench, run) as train:
        under_way = train(trials)
        for _ in range(3 * at_once):
            next(under_way)
        under_way.close()
    assert isinstance(bench.program, Program) and not bench.program.members
    known = Run(tmp_path / "run").histories
    left = [spec for spec in trials if spec.id not in known or known[spec.id].end is None]
    assert len(left) >= at_once
    with serial(bench, run) as train:
        list(train(left))
    assert not bench.program.members
    ours, theirs = (Run(tmp_path / name).histories for name in ("run", "plain"))
    for spec in trials:
        a, b = ours[spec.id].end, theirs[spec.id].end
        assert a is not None and b is not None and a.machine["at_once"] == at_once
        assert timeless([replace(a, machine={})]) == timeless([replace(b, machine={})])
        assert timeless(ours[spec.id].epochs) == timeless(theirs[spec.id].epochs)
        assert all(epoch.train_s > 1e-4 for epoch in ours[spec.id].epochs)  # the whole of it


def test_a_step_that_cannot_be_captured_is_trained_eager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(program, "captured", refused)
    bench = Workbench(RUN, Host(device="cpu", threads=1, graph=True))
    end = concluded(bench, tmp_path, trial(RUN))
    assert end.status == "done"
    assert "could not be captured: operation not permitted" in end.machine["eager"]


@on_cuda
@pytest.mark.parametrize("name", [n for n in RECIPES if n != "bf16"])
def test_on_cuda_a_captured_epoch_is_that_of_the_plain_loop(name: str) -> None:
    """Over the first epoch, at a small learning rate: it differs by the LR's rounding to float32
    and by what kernels that add in another order make of that. Adam makes whole steps of gradients
    that are nothing but rounding."""
    recipe, device = RECIPES[name], CUDA
    apply_precision(device, recipe.precision)
    task, spec = images(recipe, device), trial(recipe, lr=0.0005, epochs=1)
    (told, plain), (heard, ours) = (trained(task, spec, by) for by in (None, Program(task, recipe)))
    for a, b in zip(heard, told, strict=True):
        if hasattr(a, "train_loss"):
            assert a.train_loss == pytest.approx(b.train_loss, rel=1e-3)
    assert apart(ours, plain, begin(task, spec)) < (0.3 if "adam" in name else 0.01)
    for x, y in zip(ours.model.buffers(), plain.model.buffers(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-2, atol=1e-4)
    states = [t.optimizer.state_dict()["state"].values() for t in (ours, plain)]
    for one, other in zip(*states, strict=True):
        for what, value in one.items():
            if value is not None:
                assert (value - other[what]).norm() <= 0.05 * other[what].norm() + 1e-6


def apart(ours: Training, theirs: Training, start: Training) -> float:
    """How far from each other two trainings have led the weights, over how far they led them."""
    one, other, first = (
        torch.cat([p.detach().flatten() for p in t.model.parameters()])
        for t in (ours, theirs, start)
    )
    return float((one - other).norm() / (other - first).norm())


@on_cuda
@pytest.mark.parametrize("name", ["plain", "adam", "clipped", "accumulated", "averaged"])
def test_on_cuda_nothing_in_an_epoch_waits_for_the_device(name: str) -> None:
    recipe, device = RECIPES[name], CUDA
    task = images(recipe, device)
    training = begin(task, trial(recipe))
    batches, rows = task.train_batches(0, 0), training.clock.rows(0)
    loop = steps(
        task, training.model, training.optimizer, batches, rows, recipe, training.average
    )  # fmt: skip
    next(loop)  # the data order goes to the device at once
    with forbid_sync():
        assert len(list(loop)) == len(rows) - 1


@on_cuda
def test_on_cuda_a_network_that_reads_from_the_device_is_trained_eager(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Reading(Random):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * (1.0 if x.sum().item() > -1e9 else 0.0)

    monkeypatch.setattr("lrbench.models.build", lambda *args, **kwargs: Reading(10))
    recipe = Recipe(dataset="mnist5k", model="mlp", batch_size=128)
    bench = Workbench(recipe, Host(device="cuda", graph=True))
    end = concluded(bench, tmp_path, trial(recipe, epochs=1))
    assert end.status == "done" and "captured" in end.machine["eager"]


@on_cuda
def test_on_cuda_an_overflowing_neighbour_changes_no_bit() -> None:
    recipe, device = Recipe(**SMALL), CUDA
    make_deterministic(device)
    try:
        task = images(recipe, device)
        by, kept = Program(task, recipe, copies=3), []
        for lr in (0.02, 1e30):
            changes = ({}, {"seed": 1, "lr": lr}, {"seed": 2})
            trainings = [begin(task, trial(recipe, epochs=1, **change)) for change in changes]
            in_turns([by.train(task, training) for training in trainings])
            kept.append([p for t in trainings[::2] for p in t.model.parameters()])
            diverged = not all(bool(p.isfinite().all()) for p in trainings[1].model.parameters())
            assert diverged == (lr > 1)
        assert same(*kept)
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.deterministic = False
