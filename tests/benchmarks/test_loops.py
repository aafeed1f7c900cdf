"""The loops that the engine is timed against do the same work as the engine."""

from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from torchvision import transforms

from benchmarks import reference, tuned
from benchmarks.loops import Loop, Timing, Work, race, ratio, trainer
from lrbench.data.image_data import PHOTOS, UNCHANGED
from lrbench.data.resident import draw
from lrbench.data.split import stratified
from lrbench.engine.clock import ramp
from lrbench.engine.train import steps
from lrbench.options import Recipe
from lrbench.tasks.images import ImageTask
from tests.data.makers import image_data

CPU = torch.device("cpu")
TINY = Work({"dataset": "mnist5k", "model": "mlp", "batch_size": 64}, "cpu", 1, 200)


def test_ratios_are_taken_round_by_round() -> None:
    ours, theirs = Timing(Loop("a"), (30.0, 50.0, 20.0)), Timing(Loop("b"), (10.0, 10.0, 20.0))
    assert ratio(ours, theirs) == (3.0, 1.0, 5.0)


def test_a_race_times_every_loop_in_each_round_and_leaves_out_what_fails() -> None:
    said: list[str] = []
    loops = [Loop("engine"), Loop("broken", changes={"precision": "tf32"})]
    engine, broken = race(TINY, loops, 2, 0.001, said.append)
    assert len(engine.images_s) == 2 and min(engine.images_s) > 0 and not engine.fault
    assert "tf32 needs a CUDA device" in broken.fault and not broken.images_s
    assert sum(line.startswith("round") for line in said) == 2


@pytest.mark.parametrize(
    "loop",
    [
        Loop("plain", "reference"),
        Loop("tuned", "tuned"),
        Loop("alone", "steps"),
        Loop("engine", channels_last=False),
        Loop("two", at_once=2),
    ],
    ids=lambda loop: loop.name,
)
def test_a_loop_trains_whole_epochs(loop: Loop) -> None:
    """180 of 200 images are for training: two batches of 64 in an epoch."""
    assert trainer(TINY, loop)(2) == 2 * 2 * 64 * (loop.at_once or 1)


def kept_part(data: Any, fraction: float) -> Any:
    kept, _ = stratified(data.train_labels, fraction)
    return replace(data, train_images=data.train_images[kept], train_labels=data.train_labels[kept])


def test_steps_by_hand_are_the_engines_steps() -> None:
    data, recipe = image_data(160), Recipe(batch_size=16, val_fraction=0.1)
    task = ImageTask(data, recipe, CPU, with_test=False)
    batches = list(islice(task.train_batches(0, 0), 5))
    ours, theirs = task.model(0), task.model(0)
    optimizers = [torch.optim.SGD(m.parameters(), 0.1, momentum=0.9) for m in (ours, theirs)]
    lrs = [0.1 * (1 - step / 10) for step in range(5)]
    found = [float(s.loss) for s in steps(task, ours, optimizers[0], batches, ramp(lrs))]
    decay = torch.optim.lr_scheduler.LambdaLR(optimizers[1], lambda step: 1 - step / 10)
    expected = list(reference.train_epoch(theirs, optimizers[1], decay, batches))
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_reference_sees_the_engines_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the engine's offsets and mirrors forced upon torchvision's transforms."""
    data = image_data(20, (3, 32, 32), augmentation=PHOTOS)
    task = ImageTask(data, Recipe(batch_size=16, val_fraction=0.1), CPU, with_test=False)
    images, labels = next(iter(task.train_batches(5, 1)))
    chosen, mine = draw(16, PHOTOS, 5, 1), kept_part(data, 0.1)
    transform = reference.transform_of(data, PHOTOS)
    plain = reference.PilImages(mine.train_images, mine.train_labels, transform)
    for slot, (index, top, left, flip) in enumerate(chosen.T.tolist()):
        offsets, mirror = (top, left, 32, 32), torch.tensor([1.0 - flip])
        with monkeypatch.context() as patch:
            crop = staticmethod(lambda *_, o=offsets: o)
            patch.setattr(transforms.RandomCrop, "get_params", crop)
            patch.setattr(torch, "rand", lambda *_, x=mirror: x)
            expected, label = plain[index]
        torch.testing.assert_close(images[slot], expected, rtol=1e-5, atol=1e-5)
        assert int(labels[slot]) == label


def test_the_tuned_loader_cuts_what_torchvision_would(monkeypatch: pytest.MonkeyPatch) -> None:
    data = image_data(8, (3, 32, 32), augmentation=PHOTOS)
    monkeypatch.setattr(tuned.random, "randint", lambda low, high: 3)
    monkeypatch.setattr(tuned.random, "random", lambda: 0.0)
    images, _ = tuned.Slices(data).__getitems__([2, 5])
    still = reference.transform_of(data, UNCHANGED)
    for slot, index in enumerate((2, 5)):
        mean, std = still.transforms[-1].mean, still.transforms[-1].std
        padded = transforms.functional.pad(torch.tensor(data.train_images[index]), [4] * 4)
        cut = transforms.functional.hflip(transforms.functional.crop(padded, 3, 3, 32, 32))
        expected = transforms.functional.normalize(cut.float() / 255, mean, std)
        torch.testing.assert_close(images[slot], expected, rtol=1e-5, atol=1e-5)
