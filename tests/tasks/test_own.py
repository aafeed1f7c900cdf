"""A task of the user's own: made, held to the protocol, looked after."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lrbench import plugins
from lrbench.errors import UsageError
from lrbench.options import Recipe
from lrbench.tasks.own import OwnSource, OwnTask, ignored_batch_size
from tests.engine.tools import CPU
from tests.toys import Line

RECIPE = Recipe(dataset="", model="", batch_size=7)


@pytest.fixture(autouse=True)
def _lent() -> Iterator[None]:
    with plugins.lending():
        yield


def source(thing: Any) -> OwnSource:
    return OwnSource(plugins.name_of(thing), CPU)


def task(thing: Any, *, with_test: bool = True) -> OwnTask:
    return OwnTask("m:T", thing, Recipe(), CPU, with_test=with_test)


def test_it_is_made_with_what_its_signature_names() -> None:
    class Asks(Line):
        def __init__(self, batch_size: int, device: torch.device, more: int = 3) -> None:
            super().__init__()
            self.samples_per_step = batch_size
            self.asked = device, more

    made = source(Asks).task(RECIPE, with_test=False)
    assert made.samples_per_step == 7
    assert source(Line).task(RECIPE, with_test=False).samples_per_step == 8
    ready = Line()
    assert source(ready).task(RECIPE, with_test=True).own is ready  # type: ignore[attr-defined]


def test_the_seed_draws_the_weights_of_a_model_that_ignores_it() -> None:
    class Careless(Line):
        def model(self, seed: int) -> nn.Module:
            return nn.Linear(1, 1)

    before = torch.get_rng_state()
    weights = [float(task(Careless()).model(seed).weight.detach()) for seed in (0, 0, 1)]
    assert weights[0] == weights[1] != weights[2]
    assert torch.equal(before, torch.get_rng_state())


def test_a_file_of_weights_takes_the_place_of_those_that_were_drawn(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    torch.save({"state_dict": {"weight": torch.tensor([[2.0]]), "bias": torch.tensor([3.0])}}, file)
    recipe = RECIPE.model_copy(update={"init_from": str(file)})
    for seed in (0, 1):
        model = source(Line).task(recipe, with_test=False).model(seed)
        assert [float(p.detach()) for p in model.parameters()] == [2.0, 3.0]


def test_whether_a_task_hears_of_a_batch_size_is_known() -> None:
    class Takes(Line):
        def __init__(self, batch_size: int = 4) -> None:
            super().__init__()

    def make(batch_size: int) -> Line:
        return Line()

    given = RECIPE.model_copy(update={"task": "m:T"})
    for thing, expected in ((Takes, True), (make, True), (Line, False), (Line(), False)):
        facts = source(thing).facts()
        assert facts["takes_batch_size"] is expected
        assert bool([*ignored_batch_size(given, facts)]) is not expected
    usual, facts = given.model_copy(update={"batch_size": 128}), {"takes_batch_size": False}
    assert not [*ignored_batch_size(usual, facts)]
    assert not [*ignored_batch_size(given, {})]  # a run of an older version
    assert "changes nothing, as m:T sets its own" in str(next(ignored_batch_size(given, facts)))


def test_a_task_for_tuning_cannot_read_the_test_split() -> None:
    line = Line()
    with pytest.raises(UsageError, match="without its test split"):
        task(line, with_test=False).evaluate(nn.Linear(1, 1), "test")
    assert line.tests_read == 0
    task(line).evaluate(nn.Linear(1, 1), "test")
    assert line.tests_read == 1


def changed(**methods: Any) -> type[Line]:
    return type("Changed", (Line,), methods)


def test_an_epoch_has_the_steps_that_the_task_promised() -> None:
    def few(self: Line, seed: int, epoch: int) -> Iterator[Any]:
        return islice(Line.train_batches(self, seed, epoch), 3)

    def many(self: Line, seed: int, epoch: int) -> Iterator[Any]:
        return chain(*(Line.train_batches(self, seed, each) for each in (epoch, epoch + 1)))

    with pytest.raises(UsageError, match="gave 3 batches, but steps_per_epoch is 4"):
        list(task(changed(train_batches=few)()).train_batches(0, 0))
    assert len(list(task(changed(train_batches=many)()).train_batches(0, 0))) == 4


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("it has no model(seed)", {}),  # an object
    ("it has no loss(model, batch)", {"loss": None}),
    ("it has no train_batches(seed, epoch)", {"train_batches": None}),
    ("it has no steps_per_epoch", {"steps_per_epoch": None}),
    ("samples_per_step is 2.5, not a whole number", {"samples_per_step": 2.5}),
    ("steps_per_epoch is 0, not a whole number", {"steps_per_epoch": 0}),
    ("called as Changed.model(seed), but too many", {"model": lambda self: nn.Linear(1, 1)}),
    ("model(seed) returned a int, not an nn.Module", {"model": lambda self, seed: 3}),
    ("without trainable parameters", {"model": lambda self, seed: nn.ReLU()}),
    ("loss(model, batch) returned a float", {"loss": lambda self, model, batch: 0.5}),
    ("(model, batch) returned shape [8, 1]", {"loss": lambda self, model, batch: model(batch[0])}),
    ("accuracy 97, not a share", {"evaluate": lambda *_: {"loss": 0.1, "accuracy": 97.0}}),
    ("evaluate(model, 'val') returned 0.5", {"evaluate": lambda self, model, split: 0.5}),
    ("evaluate(model, 'val') returned {}", {"evaluate": lambda self, model, split: {}}),
]


@pytest.mark.parametrize(("words", "methods"), WRONG, ids=[words for words, _ in WRONG])
def test_what_is_no_task_is_one_line_that_says_what_one_is(
    words: str, methods: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match="--task python:") as caught:
        source(changed(**methods) if methods else object()).check(RECIPE)
    said = str(caught.value)
    assert words in said and "\n" not in said
    assert "a task has model(seed), train_batches(seed, epoch)" in said


def test_what_its_methods_raise_is_one_line_with_the_cause() -> None:
    def loss(self: Any, model: nn.Module, batch: Any) -> Any:
        raise IndexError("mine")

    with pytest.raises(UsageError, match=r"IndexError: mine \(test_own.py, line") as caught:
        source(changed(loss=loss)).check(RECIPE)
    assert isinstance(caught.value.__cause__, IndexError)


def test_an_evaluation_is_without_gradients_and_leaves_the_mode() -> None:
    class Watching(Line):
        def evaluate(self, model: nn.Module, split: str) -> dict[str, Any]:
            assert not model.training
            assert not torch.is_grad_enabled()
            return {"loss": torch.tensor(0.5), "bits": 0.7}

    model = nn.Linear(1, 1)
    assert task(Watching()).evaluate(model, "val") == {"loss": 0.5, "bits": pytest.approx(0.7)}
    assert model.training
