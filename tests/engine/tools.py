"""What tests of trainings share."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from lrbench.engine import checkpoint
from lrbench.engine.train import Training, begin, train
from lrbench.options import Recipe, TrialSpec
from lrbench.records import EpochRecord, Record, StepRecord
from lrbench.tasks.images import ImageTask
from tests.data.makers import image_data

METHODS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no momentum": {"momentum": 0.0, "weight_decay": 0.0},
    "nesterov": {"nesterov": True, "model": "resnet8"},
    "groups": {"groups": ("*bias lr=2x schedule=linear",)},
    "clipped": {"clip_norm": 0.5, "clip_value": 0.01},
    "accumulated": {"accumulate": 2, "label_smoothing": 0.1},
    "averaged": {"ema": 0.9},
    "bf16": {"precision": "bf16"},
    "unchanged images": {"augment": "none"},
}
CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


def on_cuda(test: Any) -> Any:
    skip = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    return pytest.mark.cuda(skip(test))


def images(recipe: Recipe, device: torch.device = CPU) -> ImageTask:
    return ImageTask(image_data(100), recipe, device, with_test=True)


def records(task: Any, spec: TrialSpec, **more: Any) -> list[Any]:
    return list(train(task, begin(task, spec), **more))


def same(ours: Iterable[Any], theirs: Iterable[Any]) -> bool:
    """Whether tensors are equal to the bit, one by one."""
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def steps_of(found: Iterable[Record]) -> list[StepRecord]:
    return [record for record in found if isinstance(record, StepRecord)]


def epochs_of(found: Iterable[Record]) -> list[EpochRecord]:
    return [record for record in found if isinstance(record, EpochRecord)]


def timeless(found: Iterable[Record]) -> list[Any]:
    off = {"train_s": 0.0, "throughput_img_s": 0.0}
    return [replace(r, **off) if hasattr(r, "train_s") else r for r in found]  # type: ignore[arg-type]


def in_turns(streams: Sequence[Any]) -> list[list[Any]]:
    """The records of trials that are trained one epoch at a time, in turns."""
    found: list[list[Any]] = [[] for _ in streams]
    while any(turns := [next(stream, None) for stream in streams]):
        for kept, record in zip(found, turns, strict=True):
            kept += [record] if record is not None else []
    return [timeless(each) for each in found]


def resumed(task: Any, spec: TrialSpec, done: int, path: Path) -> Training:
    """A new training from the checkpoint of one that was stopped after some epochs."""
    stopped = begin(task, spec)
    list(islice((r for r in train(task, stopped) if isinstance(r, EpochRecord)), done))
    checkpoint.save(stopped, path)
    found = begin(task, spec)
    assert checkpoint.restore(found, path)
    return found
