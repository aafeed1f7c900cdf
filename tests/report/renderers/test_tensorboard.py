"""The event files, read back by TensorBoard's own reader."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrbench.analysis import Question, summarise
from lrbench.records import History, StepRecord
from lrbench.report.renderers.tensorboard import write
from tests.analysis.made import history

pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
CURVE = [0.5, 0.75, 0.9]


@pytest.fixture(scope="module")
def read() -> Callable[[Path], Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = pytest.importorskip(
            "tensorboard.backend.event_processing.event_accumulator",
            reason="tensorboard is not installed",
        )
    return lambda folder: reader.EventAccumulator(str(folder)).Reload()


def scalars(events: Any, tag: str) -> list[tuple[int, float]]:
    return [(event.step, round(event.value, 6)) for event in events.Scalars(tag)]


def written(folder: Path, *trials: History) -> list[Path]:
    summary = summarise(list(trials), Question())
    return [path.parent for path in write(summary, folder)]


def test_scalars_by_epoch_and_recorded_steps(tmp_path: Path, read: Any) -> None:
    one = history("cosine", 0.91, curve=CURVE, epochs=3)
    steps = tuple(StepRecord(one.spec.id, k, 0, 0.1 - 0.01 * k, None, 2.0 - k) for k in range(3))
    (folder,) = written(tmp_path, History(one.spec, one.epochs, steps, end=one.end))
    events = read(folder)
    assert scalars(events, "epoch/val_accuracy") == [(1, 0.5), (2, 0.75), (3, 0.9)]
    assert scalars(events, "epoch/lr") == [(1, 0.05), (2, 0.05), (3, 0.05)]
    assert scalars(events, "epoch/train_loss") == [(1, 1.0), (2, 0.5), (3, 0.2)]
    assert scalars(events, "epoch/throughput_img_s")[0] == (1, 1000.0)
    assert scalars(events, "end/test_accuracy") == [(30, 0.91)]
    assert scalars(events, "step/lr") == [(0, 0.1), (1, 0.09), (2, 0.08)]
    assert scalars(events, "step/train_loss") == [(0, 2.0), (1, 1.0), (2, 0.0)]


def test_each_trial_has_its_hyper_parameters(tmp_path: Path, read: Any) -> None:
    from tensorboard.plugins.hparams import plugin_data_pb2

    found = {}
    trials = [history("cosine", 0.9, seed=3), history("[/red]evil", 0.8, lr=0.2)]
    for folder in written(tmp_path, *trials):
        content = read(folder).PluginTagToContent("hparams")["_hparams_/session_start_info"]
        given = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
        found[given["schedule"].string_value] = given
    assert set(found) == {"cosine", "[/red]evil"}
    assert found["cosine"]["seed"].number_value == 3
    assert found["[/red]evil"]["lr"].number_value == 0.2


def test_written_again_there_is_still_one_file_a_trial(tmp_path: Path) -> None:
    for _ in range(2):
        folders = written(tmp_path, history("cosine", 0.9), history("linear", 0.8))
    assert len(folders) == len(set(folders)) == 2
