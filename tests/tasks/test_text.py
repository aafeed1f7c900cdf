import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lrbench.analysis.question import bits
from lrbench.data.text import CONTEXT, VOCABULARY, load_text
from lrbench.errors import LrbenchError, MachineError, UsageError
from lrbench.inputs import compare_spec, recipe_of
from lrbench.models import build
from lrbench.options import Recipe
from lrbench.tasks.source import open_source
from lrbench.tasks.text import TextSource, TextTask
from tests.engine.tools import CPU


@pytest.fixture
def text(tmp_path: Path) -> str:
    """No two places of this text are alike: each holds its own number."""
    path = tmp_path / "numbers.txt"
    path.write_text(" ".join(map(str, range(4000))))
    return f"text:{path}"


def task(name: str, *, batch_size: int = 8, with_test: bool = True) -> TextTask:
    recipe = Recipe(dataset=name, model="gpt", batch_size=batch_size)
    source = open_source(recipe, CPU)
    assert isinstance(source, TextSource)
    return source.task(recipe, with_test=with_test)


@pytest.fixture
def model() -> nn.Module:
    return build("gpt", (CONTEXT,), VOCABULARY).eval()


def test_logits_of_every_place_depend_on_no_later_character(model: nn.Module) -> None:
    one = torch.randint(VOCABULARY, (2, CONTEXT))
    other = one.clone()
    other[:, 40] = (one[:, 40] + 1) % VOCABULARY
    with torch.no_grad():
        before, after = model(one), model(other)
    assert before.shape == (2, CONTEXT, VOCABULARY)
    torch.testing.assert_close(before[:, :40], after[:, :40])
    assert (before[:, 40:] != after[:, 40:]).any(dim=2).all()


def test_the_embedding_is_the_output_layer_as_well(model: nn.Module) -> None:
    tied = [p for p in model.parameters() if VOCABULARY in p.shape]
    assert len(tied) == 1
    with torch.no_grad():
        tied[0].zero_()
    assert not model(torch.zeros(1, 3, dtype=torch.long)).any()
    assert 300_000 < sum(p.numel() for p in model.parameters()) < 400_000


def test_uniform_logits_have_eight_bits_per_character(text: str) -> None:
    class Uniform(nn.Module):
        def forward(self, found: torch.Tensor) -> torch.Tensor:
            return torch.zeros(*found.shape, VOCABULARY)

    assert bits(task(text).evaluate(Uniform(), "test")["loss"]) == pytest.approx(8)


def test_the_parts_are_the_text_without_overlap(text: str) -> None:
    data = load_text(text)
    parts, whole = data.parts(0.1), len(data.text)
    assert list(parts) == ["train", "val", "test"]
    assert np.array_equal(np.concatenate(list(parts.values())), data.text)
    assert len(parts["test"]) == whole // 10
    assert len(parts["val"]) == pytest.approx(0.09 * whole, abs=2)


def test_an_epoch_is_one_pass_in_an_order_of_its_own(text: str) -> None:
    found = task(text)
    first, again, other = (
        torch.cat([*found.train_batches(*at)]) for at in ((3, 0), (3, 0), (4, 0))
    )
    assert first.shape == (8 * found.steps_per_epoch, CONTEXT + 1)
    assert torch.equal(first, again) and not torch.equal(first, other)
    starts = found.orders(3, 1).flatten().sort().values
    assert (starts.diff() >= CONTEXT).all()
    assert len(starts) >= len(load_text(text).parts(0.1)["train"]) // CONTEXT - 9
    assert torch.equal(found.ordered_batch(found.orders(3, 0)[1]), first[8:16])


def test_tuning_has_no_test_part(text: str) -> None:
    blind = task(text, with_test=False)
    with pytest.raises(UsageError, match="without its test split"):
        blind.evaluate(blind.model(0), "test")


def test_a_short_training_beats_the_frequencies_of_the_characters() -> None:
    found = task("text:default", batch_size=4)
    model = found.model(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for order in found.orders(0, 0)[:200]:
        optimizer.zero_grad()
        found.loss(model, found.ordered_batch(order)).backward()
        optimizer.step()
    counts = np.bincount(load_text("text:default").parts(0.1)["val"])
    shares = counts[counts > 0] / counts.sum()
    unigram = -(shares * np.log(shares)).sum()
    assert found.evaluate(model, "val")["loss"] < unigram - 0.3 * math.log(2)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("", UsageError, "needs a file"),
        ("nowhere.txt", MachineError, "no such file"),
        (".", MachineError, "is a directory"),
        ("wide", UsageError, "not a text in UTF-8"),
        *((f"short{length}", UsageError, "part has") for length in (0, 64, 640)),
    ],
)
def test_what_is_no_text_or_too_short_is_one_line(
    name: str, kind: type[LrbenchError], words: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wide").write_text("a text of some length" * 99, encoding="utf-16")
    for length in (0, 64, 640):
        Path(f"short{length}").write_bytes(b"x" * length)
    with pytest.raises(kind, match=words):
        task(f"text:{name}")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "lenet"}, "lenet reads images, not text"),
        ({"dataset": "mnist5k", "model": "gpt"}, "gpt reads text, not images"),
        ({"augment": "none"}, "--augment is for images"),
        ({"tta": "flip"}, "--tta is for images"),
        ({"label_smoothing": 0.1}, "--label-smoothing is for images"),
        ({"metric": "test_accuracy"}, "text has none"),
        ({"target_accuracy": 0.9}, "--target-accuracy is for images"),
        ({"batch_size": "all"}, "--batch-size all is for images"),
        ({"dataset": "mnist5k", "metric": "test_bits"}, "bits per character need --dataset"),
    ],
)
def test_options_of_images_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        compare_spec({"dataset": "text:default", **options})


def test_a_text_has_defaults_of_its_own() -> None:
    spec = compare_spec({"dataset": "text:default"})
    assert (spec.recipe.model, spec.metric) == ("gpt", "test_bits")
    assert compare_spec({}).metric == "test_accuracy"
    assert recipe_of({"dataset": "text:default", "batch_size": 16}).batch_size == 16
