"""A run's options as one TOML text, defaults included: read back, they plan the same trials."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from lrbench.errors import UsageError
from lrbench.inputs import COMPARE, compare_spec, find_spec, merged, resolved_toml
from lrbench.options import CompareSpec, FindSpec
from lrbench.plan import plan
from lrbench.run.store import Run
from lrbench.session.compare import asked

OWN = {"task": "docs.examples.regression:Surface"}


COMPARISONS: list[dict[str, Any]] = [
    {
        "model": "mlp", "batch_size": 1, "precision": "bf16", "augment": "none", "accumulate": 4,
        "group": ["fc* lr=10x schedule=cosine(min=1%)", "*b weight_decay=0"], "clip_norm": 1e-6,
        "momentum": 0.5, "nesterov": True, "epochs": 20, "budgets": "25%,100%", "lr_points": 7,
        "lr_factor": 1.5, "tuner": "halving", "early_stop": "patience=3,min_delta=0.01",
    },
    {
        "model": "torchvision.models:resnet18", "batch_size": 3000, "val_fraction": 0.15,
        "group": ["ä lr=1"], "clip_norm": 0.1 + 0.2, "no_decay_norms": True, "weight_decay": 1.0,
        "optimizer": "adam", "opt": ["betas=0.9,0.95", "eps=1e-06"], "epochs": 5,
        "budgets": [2, 5], "tuning_seeds": 5, "seeds": 9, "seed": 99, "label_smoothing": 0.9,
    },
    {
        "model": "torchvision:resnet18", "optimizer": "adam", "momentum": 0.0, "ema": 0.999,
        "time_budget": "1h30m", "lr": "0.1", "metric": "val_loss", "target_accuracy": 0.01,
    },
    {
        "optimizer": "torch.optim:Adamax", "weight_decay": 0.0, "clip_norm": 1e6, "epochs": 3,
        "range_test": "points=30,seeds=1,verify=false,rule=valley", "early_stop": "",
        "schedule": ["cosine", 'expr("1 - progress")'], "metric": "test_balanced_accuracy",
    },
    {
        "optimizer": "rmsprop", "momentum": 0.3, "lr": [1e-05, 0.30000000000000004],
        "lr_scaling": "sqrt", "base_batch_size": 64, "no_decay_norms": False,
        "schedule": ["step(30ep, gamma=0.1)", "warmup(5%) + linear"], "target_accuracy": 0.99,
    },
    OWN,
    {**OWN, "optimizer": "adam", "batch_size": 7, "metric": "test_loss", "epochs": 3},
    {"batch_size": "64,128", "epochs": 2},
    {"batch_size": "128,64"},
    {"loss": "torch.nn:CrossEntropyLoss", "dataset": "synthetic"},
    {"dataset": "cifar10", "tta": "flip", "init_from": __file__},
    {"reference": "warmup(5%)+cosine", "schedule": ["cosine()", "warmup(5%)+cosine"]},
]  # fmt: skip
SWEEPS: list[dict[str, Any]] = [
    {
        "start_lr": 1e-9, "end_lr": 1.0, "points": 2, "mode": "linear", "step": "epoch",
        "rule": "steepest", "window": 3, "seeds": 9, "seed": 99, "verify": False,
        "max_stable": False, "val_loss": True, "batch_sizes": "32,128",
    },
    {
        "start_lr": 1e-3, "end_lr": 1e3, "points": 1000, "window": 0.1, "batch_sizes": [64],
        "optimizer": "adam", "opt": ["betas=0.9,0.95", "eps=1e-06"], "group": ["ä lr=1"],
    },
]  # fmt: skip


def read_back(spec: CompareSpec | FindSpec) -> dict[str, Any]:
    return tomllib.loads(resolved_toml(spec, {}))


def same(spec: CompareSpec) -> None:
    options = read_back(spec)
    assert compare_spec(options) == spec
    assert resolved_toml(compare_spec(options), {}) == resolved_toml(spec, {})


@pytest.mark.parametrize("options", COMPARISONS, ids=str)
def test_all_options_of_a_comparison_mean_it_again(options: dict[str, Any]) -> None:
    same(compare_spec(options))


@pytest.mark.parametrize("options", SWEEPS, ids=str)
def test_all_options_of_a_range_test_mean_it_again(options: dict[str, Any]) -> None:
    spec = find_spec(options)
    assert find_spec(read_back(spec)) == spec


def test_contenders_too() -> None:
    pytest.importorskip("prodigyopt", reason="the extra 'contenders' is not installed")
    same(compare_spec({"arm": ["prodigy", "schedulefree_sgd"], "reference": "prodigy"}))


def test_a_run_that_was_given_its_size_is_repeated_at_it(tmp_path: Path) -> None:
    spec = compare_spec({"time_budget": "5m"}).model_copy(update={"epochs": 7, "tuning_seeds": 1})
    options = tomllib.loads(asked(spec, Run(tmp_path), {"time_budget": "5m"})["toml"])
    again = compare_spec(options)
    assert again == spec.model_copy(update={"time_budget_s": None})


def test_a_run_that_grew_plans_the_same_trials(tmp_path: Path) -> None:
    first = {"batch_size": "128", "lr": "0.1,0.2", "seeds": 2, "epochs": 2, "schedule": ["cosine"]}
    spec = compare_spec(first | {"batch_size": "64,128", "seeds": 3, "schedule": ["linear"]})
    grown = spec.grown_from(compare_spec(first))
    about = asked(grown, Run(tmp_path), first)
    again = compare_spec(tomllib.loads(about["toml"]))
    steps = {64: 56, 128: 28}
    trials = [{t.id for t in plan(each, {}, {}, steps).trials} for each in (grown, again)]
    assert trials[0] == trials[1] and again.fingerprint == grown.fingerprint
    assert about["options"]["batch_size"] == "128,64"


def test_the_whole_way_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def planned(*argv: str) -> dict[str, Any]:
        assert run([*argv, "--dry-run", "--json"]) == 0, capsys.readouterr().err
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return {key: found[key] for key in ("experiment", "run", "stages") if key in found}

    for command in (["compare", "--clip-norm", "1"], ["compare", "--lr", "0.1"], ["find"]):
        argv = [*command, "--model", "mlp", "--device", "cpu"]
        capsys.readouterr()
        assert run([*argv, "--print-config"]) == 0
        Path("run.toml").write_text(capsys.readouterr().out)
        content = {"command": command[0], "toml": Path("run.toml").read_text()}
        Path("manifest.json").write_text(json.dumps(content))
        whole = planned(*argv)
        assert planned(command[0], "--config", "run.toml") == whole
        assert planned(command[0], "--config", "manifest.json") == whole


def test_a_manifest_says_it_and_the_command_line_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    argv = ["compare", "--dataset", "synthetic", "--model", "mlp", "--lr", "0.1", "-s", "cosine"]
    assert run([*argv, "--epochs", "1", "--seeds", "1", "--out", str(out), "-q"]) == 0
    manifest = Run(out).manifest
    assert manifest is not None
    again = merged({}, out / "manifest.json", COMPARE)
    assert compare_spec(again) == CompareSpec.model_validate(manifest["experiment"])
    assert tomllib.loads(manifest["toml"])["momentum"] == 0.9
    other = compare_spec(merged({"optimizer": "adam"}, out / "manifest.json", COMPARE))
    assert (other.recipe.optimizer, other.recipe.dataset) == ("adam", "synthetic")
    capsys.readouterr()
    assert run(["find", "--config", str(out / "manifest.json")]) == 2
    said = capsys.readouterr().err
    assert "unknown key 'lr'; it belongs to lrbench compare" in said


def test_a_task_takes_the_place_of_what_a_file_says_by_default(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(resolved_toml(compare_spec({"lr": "0.1", "epochs": 3}), {}))
    spec = compare_spec(merged(OWN, file, COMPARE))
    assert spec == compare_spec({**OWN, "lr": "0.1", "epochs": 3, "batch_size": 32})


def test_tables_of_settings_are_their_text(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('optimizer = "adam"\n[opt]\nbetas = [0.9, 0.95]\n[early-stop]\npatience = 3\n')
    options = merged({}, file, COMPARE)
    assert options["opt"] == ["betas=0.9,0.95"] and options["early_stop"] == "patience=3"
    for text in ("[lr]\na = 1", "[compare]\nlr = 1"):
        file.write_text(text)
        with pytest.raises(UsageError):
            merged({}, file, COMPARE)
    file.write_text("batch-size = 3\nbatch_size = 4")
    with pytest.raises(UsageError, match="twice, with - and with _"):
        merged({}, file, COMPARE)
