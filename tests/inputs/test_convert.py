"""Options, typed or from a file, and the specs that they mean."""

import json
from pathlib import Path
from typing import Any

import pytest

from lrbench.data import DATASETS
from lrbench.data.text import DEFAULTS
from lrbench.engine.device import default_threads
from lrbench.errors import MachineError, UsageError
from lrbench.inputs import (
    COMPARE,
    FIND,
    compare_spec,
    extrapolating,
    find_spec,
    host_of,
    merged,
    resolved_toml,
    to_toml,
)
from lrbench.optimizers import parse_group
from lrbench.options import CompareSpec, Recipe, duration_s, options_of
from lrbench.plan import plan

RECIPES_FOLDER = Path(__file__).parents[2] / "docs" / "recipes"


def test_the_defaults_of_a_comparison() -> None:
    spec = compare_spec({})
    assert (spec.epochs, spec.tuning_seeds, spec.lr_points, spec.lr_factor) == (3, 2, 3, 2)
    assert spec.final_seeds() == range(20)
    assert spec.schedules == ("constant", "step", "cosine", "warmup + cosine", "onecycle")
    assert compare_spec({"epochs": 3}) == spec


def test_a_dataset_may_have_a_batch_size_of_its_own_which_the_help_names() -> None:
    sizes = {e.name: e.facts["batch_size"] for e in DATASETS if "batch_size" in e.facts}
    sizes["text"] = DEFAULTS["batch_size"]
    for kind in (Recipe, CompareSpec):
        note = options_of(kind)["batch_size"].default_note
        assert note == ", ".join(f"{size} for {name}" for name, size in sizes.items())
    assert find_spec({}).recipe.batch_size == compare_spec({}).recipe.batch_size == 32
    assert compare_spec({"dataset": "synthetic"}).recipe.batch_size == 128
    assert compare_spec({"batch_size": 64}).recipe.batch_size == 64


def test_a_file_speaks_where_the_command_line_is_silent(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("epochs = 7\nseeds = 3\nlr = [0.1, 0.2]\n")
    spec = compare_spec(merged({"epochs": 4, "seeds": None}, path, COMPARE))
    assert (spec.epochs, spec.seeds, spec.lrs) == (4, 3, (0.1, 0.2))


def test_durations() -> None:
    seconds = {"90": 90, "90s": 90, "20m": 1200, "1h30m": 5400, "0.5h": 1800}
    assert {text: duration_s(text) for text in seconds} == seconds


def test_the_file_to_start_from_is_part_of_the_identity_and_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    digests = set()
    for content in (b"one", b"two"):
        file.write_bytes(content)
        digests.add(compare_spec({"init_from": str(file)}).recipe.canonical())
    assert len(digests) == 2
    with pytest.raises(MachineError, match=r"--init-from .*no such file"):
        compare_spec({"init_from": str(tmp_path / "none.pt")})


def test_all_is_the_whole_training_split() -> None:
    spec = compare_spec({"batch_size": "all", "dataset": "mnist5k"})
    assert spec.recipe.batch_size == 3600 and spec.batch_sizes == ()
    both = compare_spec({"batch_size": "128,all", "dataset": "mnist5k"})
    assert both.batch_sizes == (128, 3600)


def test_what_is_off_leaves_the_identity_as_it_was() -> None:
    off = {"accumulate": 1, "label_smoothing": 0, "no_decay_norms": False}
    assert compare_spec({**off, "loss": "cross-entropy"}) == compare_spec({})


@pytest.mark.parametrize(("rule", "scale"), [("sqrt", 2.0), ("linear", 4.0), ("none", 1.0)])
def test_learning_rates_follow_the_effective_batch(rule: str, scale: float) -> None:
    options = {
        "lr": "0.1", "batch_size": 64, "accumulate": 4, "lr_scaling": rule, "base_batch_size": 64,
    }  # fmt: skip
    spec = compare_spec(options)
    assert spec.lr_scale(spec.recipe) == scale
    found = plan(spec, {}, {}, {256: 14})
    assert {trial.lr for trial in found.finals} == {0.1 * scale}
    assert {trial.lr_reference for trial in found.finals} == {None}


def test_absolute_lrs_of_groups_are_scaled_as_well() -> None:
    options = {
        "lr": "0.1", "batch_size": 256, "lr_scaling": "linear", "base_batch_size": 64,
        "group": ["fc* lr=0.01"],
    }  # fmt: skip
    (trial, *_) = plan(compare_spec(options), {}, {}, {256: 14}).finals
    assert parse_group("fc* lr=0.01").lr(trial.lr, trial.lr_reference) == pytest.approx(0.04)


def test_options_as_toml_mean_the_same_again(tmp_path: Path) -> None:
    options = {"lr": "0.1,0.2", "nesterov": True, "data_dir": tmp_path / 'dät"a\\😀'}
    file = tmp_path / "run.toml"
    file.write_text(to_toml(options), encoding="utf-8")
    again = merged({}, file, COMPARE)
    assert again == {**options, "data_dir": str(options["data_dir"])}
    assert compare_spec(again) == compare_spec(options)
    assert to_toml(again) == to_toml(options)


@pytest.mark.parametrize("file", sorted(RECIPES_FOLDER.glob("*.toml")), ids=lambda file: file.stem)
def test_the_recipes_of_the_repository_can_be_read(file: Path, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(str(RECIPES_FOLDER))
    if file.stem == "regression-find":
        assert find_spec(merged({}, file, FIND)).recipe.task
    else:
        options = merged({}, file, COMPARE)
        options.pop("init_from", None)  # made by digits.py
        assert compare_spec(options).seeds


def test_a_folder_that_was_typed_can_be_written_into_a_manifest(tmp_path: Path) -> None:
    """A range test with --data-dir once failed after its sweep, when its manifest was written."""
    options = merged({"data_dir": tmp_path, "lr": "0.1"}, None, COMPARE)
    assert json.loads(json.dumps(options)) == {"data_dir": str(tmp_path), "lr": "0.1"}
    assert host_of(options).data_dir == tmp_path


def test_the_reference_is_canonical_and_another_name_is_refused_by_its_option() -> None:
    assert compare_spec({"reference": "warmup(5%)+cosine"}).reference == "warmup + cosine"
    with pytest.raises(UsageError, match="--reference: schedule 'adam'"):
        compare_spec({"reference": "adam"})


def test_a_file_from_windows_and_one_with_a_mark_of_its_encoding(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    for content in (b"epochs = 3\r\n# \xc3\xa4\r\nlr = 1\r\n", b"\xef\xbb\xbfepochs = 3\nlr = 1\n"):
        path.write_bytes(content)
        assert merged({}, path, COMPARE) == {"epochs": 3, "lr": 1}


@pytest.mark.parametrize(("most", "looks"), [(20, (5, 8, 12, 20)), (12, (5, 7, 12)), (4, (4,))])
def test_the_looks_of_a_race_are_scaled_to_the_last(most: int, looks: tuple[int, ...]) -> None:
    spec = compare_spec({"race": True, "most_seeds": most})
    assert spec.looks == looks and len(spec.final_seeds()) == most
    other = compare_spec({"race": True, "most_seeds": most + 10})
    with pytest.raises(UsageError, match="--most-seeds"):
        other.grown_from(spec)
    with pytest.raises(UsageError, match="--reference none -> constant"):
        spec.model_copy(update={"reference": "constant"}).grown_from(spec)


def test_an_optimizer_may_have_no_weight_decay_and_one_that_is_given_stays() -> None:
    assert compare_spec({"optimizer": "adam"}).recipe.weight_decay == 0.0
    given = {"optimizer": "adamw", "weight_decay": 5e-4}
    assert compare_spec(given).recipe.weight_decay == 5e-4


@pytest.mark.parametrize(("optimizer", "decay"), [("adamw", 0.01), ("sgd", 5e-4)])
def test_another_optimizer_than_the_files_has_its_own(
    optimizer: str, decay: float, tmp_path: Path
) -> None:
    (tmp_path / "run.toml").write_text(resolved_toml(compare_spec({"optimizer": "adamw"}), {}))
    again = compare_spec(merged({"optimizer": optimizer}, tmp_path / "run.toml", COMPARE))
    assert again.recipe.weight_decay == decay


def test_a_recorded_comparison_may_be_asked_for_another_length() -> None:
    spec = compare_spec({"budgets": "1,2,4"})
    assert extrapolating(spec, "40ep") == spec.model_copy(update={"extrapolate": "40ep"})
    assert extrapolating(spec, None) is spec
    with pytest.raises(UsageError, match="--extrapolate 40ep needs three lengths"):
        extrapolating(compare_spec({}), "40ep")


@pytest.mark.parametrize(
    ("options", "executor", "jobs"),
    [
        ({}, "auto", 1),
        ({"jobs": "auto"}, "pool", default_threads()),
        ({"executor": "pool"}, "pool", default_threads()),
        ({"jobs": "3"}, "pool", 3),
        ({"executor": "ray"}, "ray", 0),
        ({"executor": "ray", "jobs": 3}, "ray", 3),
        ({"executor": "ray", "trial_timeout": "1m"}, "ray", 0),
    ],
)
def test_executors_and_jobs(options: dict[str, Any], executor: str, jobs: int) -> None:
    host = host_of({**options, "shard": "2/8"})
    assert (host.executor, host.jobs, host.shard) == (executor, jobs, (2, 8))
