"""What is refused: in one line that names the option."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lrbench.errors import LrbenchError, MachineError, UsageError
from lrbench.inputs import COMPARE, FIND, compare_spec, find_spec, host_of, merged
from lrbench.inputs.commands import flat

NO_RUN = "not the manifest of a run"
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"epochs": 0}, "--epochs 0: must be at least 1"),
    ({"lr": "nan"}, "--lr nan"),
    ({"lr": "fast"}, "--lr fast"),
    ({"lr": ""}, "--lr"),
    ({"lr": "0"}, "--lr 0"),
    ({"seeds": 0}, "--seeds 0"),
    ({"seed": -1}, "--seed -1"),
    ({"batch_size": 0}, "--batch-size 0"),
    ({"batch_size": 100_000}, "--batch-size 100000"),
    ({"momentum": 1.0}, "--momentum 1.0"),
    ({"weight_decay": float("inf")}, "--weight-decay inf"),
    ({"dataset": "mnist5"}, "--dataset: unknown dataset 'mnist5'; did you mean mnist5k"),
    ({"dataset": "text"}, "--dataset: unknown dataset 'text'; did you mean text:FILE"),
    ({"model": "lent"}, "--model: unknown model 'lent'; did you mean lenet"),
    ({"optimizer": "agd"}, "--optimizer: unknown optimizer 'agd'; did you mean"),
    ({"schedule": ["cosine("]}, "--schedule"),
    ({"metric": "speed"}, "--metric speed"),
    ({"reference": "cosine", "schedule": ["linear"]}, "--reference"),
    ({"lr_factor": 1.0}, "--lr-factor 1.0"),
    ({"lr_points": 0}, "--lr-points 0"),
    ({"time_budget": "soon"}, "--time-budget soon"),
    ({"target_accuracy": 2.0}, "--target-accuracy 2.0"),
    ({"batch_size": "32,64,128", "extrapolate": "16ep"}, "16ep needs three lengths or more"),
    ({"batch_size": "32,64", "extrapolate": "256"}, "256 needs three sizes or more"),
    ({"budgets": "1,2,4", "extrapolate": "4x"}, "--extrapolate 4x: give a number of epochs"),
    ({"precision": "fp8"}, "--precision fp8: must be fp32, tf32 or bf16"),
    ({"augment": "flip"}, "--augment flip: must be default, none or module:function"),
    ({"opt": ["betas"]}, "--opt: 'betas' is not of the form key=value"),
    ({"opt": ["a=1", "a=2"]}, "--opt: a is given twice"),
    ({"opt": ["lr=1"]}, "--opt lr: use --lr"),
    ({"optimizer": "adam", "momentum": 0.9}, "--momentum: adam has none"),
    ({"weights": "DEFAULT"}, "--weights DEFAULT: lenet has none"),
    ({"model": "no_such_pkg.nets:build"}, "--model no_such_pkg.nets:build: there is no module"),
    ({"model": "my_nets.py:Wide"}, "there is no module 'my_nets.py'; leave out .py: my_nets:Wide"),
    ({"dataset": "no_such_pkg:load"}, "--dataset no_such_pkg:load: there is no module"),
    ({"loss": "torch.nn:CrossEntropy"}, "--loss torch.nn:CrossEntropy: torch.nn has no"),
    ({"accumulate": 0}, "--accumulate 0"),
    ({"clip_norm": 0.0}, "--clip-norm 0.0"),
    ({"clip_value": -1.0}, "--clip-value -1.0"),
    ({"label_smoothing": 1.0}, "--label-smoothing 1.0"),
    ({"label_smoothing": 0.1, "loss": "tests.own_code:mse"}, "--label-smoothing belongs to"),
    ({"ema": 1.0}, "--ema 1.0"),
    ({"tta": "crop"}, "--tta crop: must be flip"),
    ({"early_stop": "patience=x"}, "--early-stop: patience x"),
    ({"lr_scaling": "sqrt", "lr": "0.1"}, "--lr-scaling sqrt needs --base-batch-size"),
    ({"lr_scaling": "sqrt", "base_batch_size": 64}, "--lr-scaling sqrt scales LRs that --lr names"),
    ({"lr_scaling": "cubic", "lr": "0.1"}, "--lr-scaling cubic"),
    ({"group": ["bias* freeze=half"]}, "--group 'bias* freeze=half': freeze=half is not a whole"),
    ({"batch_size": "all,alll"}, "--batch-size alll: give whole numbers of at least 1, or all"),
    ({"loss": "mse"}, "--loss mse: must be cross-entropy or module:function"),
    ({"epochs": 1, "budgets": "50%,100%"}, "--budgets 50%,100%: 50% is 0.5 epochs"),
    ({"budgets": "x"}, "--budgets x: give shares"),
    ({"budgets": "50%", "time_budget": "1m", "epochs": 2}, "--budgets and --time-budget"),
    ({"base_batch_size": 64}, "--base-batch-size needs --lr-scaling"),
    ({"race": True, "seeds": 8}, "--seeds: with --race, give --most-seeds"),
    ({"race": True, "schedule": ["cosine"]}, "--race: one schedule has nothing to race"),
    ({"most_seeds": 8}, "--most-seeds needs --race"),
    ({"margin": 0}, "--margin 0: must be greater than 0"),
    ({"studies": 0}, "--studies 0: must be at least 1"),
    ({"seeds": 2.5}, "--seeds 2.5: must be a whole number"),
    ({"clip_norm": "x"}, "--clip-norm x: must be a number"),
    ({"nesterov": "x"}, "--nesterov x: must be true or false"),
    ({"range_test": "point=3"}, "unknown key 'point'; did you mean points"),
    ({"range_test": "points=1"}, "--range-test points 1: must be at least 2"),
    ({"range_test": "seeds=0"}, "--range-test seeds 0"),
    ({"range_test": "start_lr=1,end_lr=0.1"}, "start_lr=1 must lie below end_lr=0.1"),
    ({"range_test": "rule=steep"}, "--range-test rule=steep: unknown rule; did you mean steepest"),
    ({"task": "tests.toys:Line", "tta": "flip"}, "--tta: a --task brings its own"),
    (
        {"task": "tests.toys:Line", "lr_scaling": "sqrt", "base_batch_size": 8, "lr": "0.1"},
        "--lr-scaling sqrt: this task sets its own batch size",
    ),
]
WRONG_SWEEPS: list[tuple[dict[str, Any], str]] = [
    ({"start_lr": 1.0, "end_lr": 0.1}, "--start-lr 1 must lie below --end-lr 0.1"),
    ({"start_lr": 0.0}, "--start-lr 0.0"),
    ({"points": 1}, "--points 1"),
    ({"mode": "cubic"}, "--mode cubic"),
    ({"seeds": -2}, "--seeds -2"),
]
WRONG_HOSTS: list[tuple[dict[str, Any], str]] = [
    ({"device": "tpu"}, "--device tpu"),
    ({"threads": 0}, "--threads 0"),
    ({"device": "cuda:x"}, "--device cuda:x"),
    ({"jobs": 0}, "--jobs 0: choose a number of at least 1, or auto"),
    ({"jobs": "many"}, "--jobs many"),
    ({"jobs": "auto", "executor": "serial"}, "takes neither --jobs"),
    ({"address": "local"}, "--address needs --executor ray"),
    ({"shard": "9/8"}, "--shard 9/8: write I/N"),
    ({"shard": "0/0"}, "--shard 0/0"),
    ({"shard": "\uff12/8"}, "write I/N"),
    ({"shard": "1"}, "--shard 1"),
]
REFUSED = [
    *((compare_spec, *each) for each in WRONG),
    *((find_spec, *each) for each in WRONG_SWEEPS),
    *((host_of, *each) for each in WRONG_HOSTS),
]


@pytest.mark.parametrize(
    ("read", "options", "words"),
    REFUSED,
    ids=lambda value: getattr(value, "__name__", str(value))[:40],
)
def test_a_refusal_is_one_line_that_names_the_option(
    read: Callable[[dict[str, Any]], object], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read(options)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("run.toml", "epoch = 3", "unknown key 'epoch'; did you mean epochs"),
        ("run.toml", "epochs = = 3", "--config"),
        ("run.toml", None, "no such file"),
        ("manifest.json", "{", NO_RUN),
        ("manifest.json", '{"experiment": {}}', NO_RUN),
        ("manifest.json", '{"command": "find", "options": 3}', NO_RUN),
        ("manifest.json", '{"command": "compare", "toml": "epoch = 1"}', "mean epochs"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, name: str, text: str | None, words: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(LrbenchError, match="--config") as caught:
        merged({}, path, COMPARE)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert caught.type is (UsageError if text is not None else MachineError)


ODD = (
    True, -1, 2.5, float("nan"), 10**30, "", "x", "ä😀", "1,,2", [], [1], [[1]], [None], ["a", "b"],
    "9" * 400, date(2020, 1, 1), {"a": 1},
)  # fmt: skip


@pytest.mark.parametrize("name", sorted({*COMPARE, *FIND}))
def test_a_value_of_another_type_from_a_file_is_taken_or_one_line(name: str) -> None:
    for value in ODD:
        for spec_of in [compare_spec] * (name in COMPARE) + [find_spec] * (name in FIND):
            try:
                options = {name: flat({**FIND, **COMPARE}[name], value)}
                spec_of(options), host_of(options)
            except LrbenchError as fault:
                assert "\n" not in str(fault)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("force", "yes", "--force yes: must be true or false"),
        ("init_from", 3, "--init-from 3: must be text"),
        ("schedule", [abs], "must be text; name your own as 'module:name'"),
        ("arm", ["prodigy", 3], "--arm .*: must be text"),
        ("lr", {"a": 1}, "--lr: must be one value, not a table"),
        ("arm", {"a": "ema=0.9"}, "--arm: must be a list of texts, not a table"),
    ],
)
def test_a_value_of_another_type_names_its_option(name: str, value: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        flat(COMPARE[name], value)
