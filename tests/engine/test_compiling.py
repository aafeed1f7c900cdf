"""`--compile`: one compilation for all trials, the same training up to rounding, one clear line."""

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from lrbench.engine import device
from lrbench.engine.train import begin, train
from lrbench.errors import MachineError
from lrbench.execute import Host, Workbench
from lrbench.options import Recipe
from lrbench.records import EpochRecord, StepRecord
from tests.engine.graphs.test_program import SMALL, task_of, trial

RECIPE = Recipe(compile=True, **SMALL)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> CompileCounter:
    """Instead of torch's compiler, which takes a minute: how often it was called."""
    found, original = CompileCounter(), torch.compile  # type: ignore[no-untyped-call]
    monkeypatch.setattr(torch, "compile", lambda model: original(model, backend=found))
    torch._dynamo.reset()
    return found


def test_all_trials_share_what_was_compiled_once(counter: CompileCounter) -> None:
    task = task_of(RECIPE)
    for seed in range(3):
        *_, end = train(task, begin(task, trial(RECIPE, seed=seed, epochs=2)))
        assert end.status == "done" and end.test_accuracy is not None
        assert counter.frame_count == 1


def test_it_trains_as_without(counter: CompileCounter) -> None:
    """The counter's backend runs the traced graph as it stands."""
    plain = Recipe(**SMALL)
    found, expected = (
        list(train(task_of(r), begin(task_of(r), trial(r)), record_steps=True))
        for r in (RECIPE, plain)
    )
    assert counter.op_count > 5
    for kind, name in ((StepRecord, "train_loss"), (EpochRecord, "val_loss")):
        ours, theirs = ([getattr(r, name) for r in rs if isinstance(r, kind)]
                        for rs in (found, expected))  # fmt: skip
        assert len(ours) > 2 and ours == pytest.approx(theirs, rel=1e-5)


def test_without_a_compiler_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.shutil, "which", lambda name: None)
    bench = Workbench(Recipe(dataset="synthetic", compile=True), Host(device="cpu"))
    with pytest.raises(MachineError, match=r"^--compile needs a C\+\+ compiler"):
        bench.open()
    Workbench(Recipe(dataset="synthetic"), Host(device="cpu")).open()


def test_a_gpu_needs_triton_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    assert device.missing_compiler(on_cuda=True) == "needs triton"
