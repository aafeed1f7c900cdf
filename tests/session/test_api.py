"""`lrbench.compare` from Python: tasks, loaders, functions and names."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lrbench
from lrbench.errors import UsageError
from tests.toys import Line

TINY: dict[str, Any] = {
    "schedules": ["constant", "cosine"], "lr": 0.05, "epochs": 2, "seeds": 2, "device": "cpu",
    "threads": 1,
}  # fmt: skip
X = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
LABELS = (X[:, 0] > 0).long()


def loader(**more: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(X, LABELS), 16, **more)


def test_a_task_is_ranked_by_its_loss_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    generators = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    threads = torch.get_num_threads()
    found = lrbench.compare(Line(), optimizer="sgd", momentum=0.0, clip_norm=1.0, **TINY)
    assert set(found.ranking["schedule"]) == {"constant", "cosine"}
    assert set(found.ranking["metric"]) == {"test_loss"}
    assert found.ranking["metric_mean"].is_monotonic_increasing
    assert found.best == found.ranking["schedule"][0]
    assert found.lrs == {"constant": 0.05, "cosine": 0.05}
    assert str(found) == found.sentence
    assert "optimizer.param_groups" in found.code
    assert len(found.trials) == 4
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("lrbench", "results"))]
    assert random.getstate() == generators[0]
    assert np.random.get_state()[1].tolist() == generators[1]
    assert torch.equal(torch.get_rng_state(), generators[2])
    assert torch.get_num_threads() == threads


def test_the_same_by_object_class_and_name() -> None:
    found = [lrbench.compare(task, **TINY) for task in (Line(), Line, "tests.toys:Line")]
    means = [one.ranking["metric_mean"].tolist() for one in found]
    assert means[0] == means[1] == means[2]


@pytest.fixture(scope="module")
def found() -> lrbench.Comparison:
    return lrbench.compare(Line, **TINY)


def test_pictures(found: lrbench.Comparison) -> None:
    assert found.plot().axes
    assert found.plot("loss").axes
    with pytest.raises(UsageError, match="did you mean loss"):
        found.plot("losses")


def test_a_page(tmp_path: Path, found: lrbench.Comparison) -> None:
    page = found.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    assert "cosine" in page
    assert "tests.toys:Line" in page
    assert found.code.splitlines()[-1] in page.replace("&#39;", "'")


@pytest.mark.parametrize(
    ("outputs", "loss", "test", "metric", "least"),
    [
        (2, nn.CrossEntropyLoss(), loader(), "test_accuracy", 0.6),
        (1, lambda output, target: (output[:, 0] - target).square().mean(), None, "val_loss", 0),
    ],
)
def test_loaders_are_ranked_by_accuracy_or_loss_of_test_or_validation(
    outputs: int, loss: Any, test: Any, metric: str, least: float
) -> None:
    parts = {"loss_fn": loss, "train": loader(shuffle=True), "val": loader(), "test": test}
    found = lrbench.compare(make_model=lambda: nn.Linear(4, outputs), **parts, **TINY)
    assert set(found.ranking["metric"]) == {metric}
    assert found.ranking["metric_mean"].min() > least
    assert found.trials["test_loss"].isna().all() == (test is None)
    seeds = found.trials.groupby("seed")["start_loss"].nunique()
    assert seeds.tolist() == [1, 1]  # the same weights and batches for every schedule


def test_functions_and_classes_for_names() -> None:
    def arrays() -> Any:
        images = (X.repeat(1, 4).reshape(96, 4, 4), LABELS)
        return images, images

    def build(image_shape: tuple[int, int, int], classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(16, classes))

    def noise(images: Tensor) -> Tensor:
        return images + 0.01

    parts = {"model": build, "augment": noise, "loss": nn.CrossEntropyLoss}
    options = {**TINY, **parts, "lr": 0.01, "batch_size": 16}
    adagrad = {"optimizer": torch.optim.Adagrad, "opt": {"lr_decay": 0.01}}
    found = lrbench.compare(dataset=arrays, **adagrad, **options)
    recipe: Mapping[str, Any] = found.manifest["experiment"]["recipe"]
    assert recipe["optimizer"] == "torch.optim.adagrad:Adagrad"
    assert recipe["optimizer_options"] == ["lr_decay=0.01"]
    assert found.ranking["metric_mean"].min() > 0.6
    again = lrbench.compare(dataset=arrays(), optimizer="adagrad", opt=["lr_decay=0.01"], **options)
    assert found.ranking["metric_mean"].tolist() == again.ranking["metric_mean"].tolist()


def test_a_run_that_is_kept_goes_on(tmp_path: Path) -> None:
    first = lrbench.compare(Line, out=tmp_path / "run", **TINY)
    assert first.path == tmp_path / "run"
    assert (tmp_path / "run" / "ranking.csv").exists()
    more = lrbench.compare(Line, out=tmp_path / "run", **{**TINY, "seeds": 3})
    assert len(more.trials) == 6
    kept = more.trials[more.trials["seed"] < 2].reset_index(drop=True)
    assert kept["train_s"].tolist() == first.trials["train_s"].tolist()
    with pytest.raises(UsageError, match="holds a different experiment: epochs 2 -> 3"):
        lrbench.compare(Line, out=tmp_path / "run", **{**TINY, "epochs": 3})


def test_a_run_of_what_cannot_be_imported_warns_when_it_goes_on(tmp_path: Path) -> None:
    lrbench.compare(Line(), out=tmp_path / "run", **TINY)
    with pytest.warns(UserWarning, match="holds trials of python:Line.*pass the same objects"):
        lrbench.compare(Line(), out=tmp_path / "run", **TINY)


def test_progress_is_said_when_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    lrbench.compare(Line, **TINY)
    assert capfd.readouterr() == ("", "")
    lrbench.compare(Line, progress=True, **TINY)
    assert "final seeds: 4 trials" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"epoch": 3}, "compare: unknown option 'epoch'; did you mean epochs"),
        ({"schedule": "cosine"}, "unknown option 'schedule'; did you mean schedules"),
        ({"epochs": 0}, "epochs 0"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"out": 3}, "out 3: must be the path of a folder"),
        ({"lr": True}, "lr True: must be a number"),
        ({"lr": [0.1, True]}, "must be a number"),
        ({"optimizer": "adam", "momentum": 0.5}, "; opt sets the optimizer"),
        ({"task": Line(), "jobs": 2}, "other processes cannot import Line"),
        ({"model": nn.Linear(2, 2)}, "model: this module already has its weights"),
        ({"train": [1], "val": [1]}, "compare: loaders need make_model"),
        ({"task": Line(), "dataset": "mnist5k"}, "dataset: a task brings its own"),
        *(({"schedules": nothing}, "schedules: the list is empty") for nothing in ([], (), "")),
    ],
)
def test_an_invalid_argument_is_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        lrbench.compare(**arguments)
    assert words in str(caught.value)
    assert "--" not in str(caught.value)


def test_the_users_exceptions_come_out_unchanged() -> None:
    class Broken(Line):
        def loss(self, model: nn.Module, batch: Any) -> Tensor:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        lrbench.compare(Broken(), **TINY)


def test_a_model_that_is_not_new_in_each_call_is_refused() -> None:
    body = nn.Linear(1, 1)

    class Shared(Line):
        def model(self, seed: int) -> nn.Module:
            return nn.Sequential(body, nn.Linear(1, 1))

    with pytest.raises(UsageError, match="it makes the same weights twice"):
        lrbench.compare(Shared(), **TINY)


def test_a_default_dtype_that_other_processes_would_not_have_is_refused() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(UsageError, match="default dtype"):
            lrbench.compare(dataset="synthetic", model="mlp")
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_notebook_shows_a_result_in_three_lines_or_as_a_table_with_a_picture(
    found: lrbench.Comparison,
) -> None:
    lines = repr(found).splitlines()
    assert len(lines) == 3 and found.sentence in lines[0] and ".ranking" in lines[2]
    assert "constant" in lines[1] and "cosine" in lines[1]
    page = found._repr_html_()
    assert page.count("<tr>") == 3 and "data:image/png;base64,iVBOR" in page
