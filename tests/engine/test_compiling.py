"""`--compile`: one compilation for all trials, the same training up to rounding, one clear line."""

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from lrbench.engine import device
from lrbench.errors import MachineError
from lrbench.execute import Host, Workbench
from lrbench.options import Recipe
from tests.engine.tools import epochs_of, images, records, steps_of
from tests.toys import trial

PLAIN = Recipe(model="mlp", batch_size=16, val_fraction=0.2)
COMPILED = PLAIN.model_copy(update={"compile": True})


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> CompileCounter:
    """Instead of torch's compiler, which takes a minute: how often it was called."""
    found, original = CompileCounter(), torch.compile  # type: ignore[no-untyped-call]
    monkeypatch.setattr(torch, "compile", lambda model: original(model, backend=found))
    torch._dynamo.reset()
    return found


def test_all_trials_share_what_was_compiled_once(counter: CompileCounter) -> None:
    task = images(COMPILED)
    for seed in range(3):
        *_, end = records(task, trial(recipe=COMPILED, seed=seed, epochs=2, stage="final"))
        assert end.status == "done" and end.test_accuracy is not None
        assert counter.frame_count == 1


def test_it_trains_as_without(counter: CompileCounter) -> None:
    """The counter's backend runs the traced graph as it stands."""
    kept = []
    for recipe in (COMPILED, PLAIN):
        found = records(images(recipe), trial(recipe=recipe, lr=0.05), record_steps=True)
        kept.append(
            [r.train_loss for r in steps_of(found)] + [r.val_loss for r in epochs_of(found)]
        )
    assert counter.op_count > 5
    assert len(kept[0]) == 18 and kept[0] == pytest.approx(kept[1], rel=1e-5)


def test_without_a_compiler_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.shutil, "which", lambda name: None)
    bench = Workbench(Recipe(dataset="synthetic", compile=True), Host(device="cpu"))
    with pytest.raises(MachineError, match=r"^--compile needs a C\+\+ compiler"):
        bench.open()
    Workbench(Recipe(dataset="synthetic"), Host(device="cpu")).open()


def test_a_gpu_needs_triton_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    assert device.missing_compiler(on_cuda=True) == "needs triton"
