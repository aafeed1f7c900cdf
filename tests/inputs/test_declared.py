"""An option is declared once: from its field come help, completion, TOML, keywords and refusals."""

import inspect
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from lrbench.cli.app import app
from lrbench.cli.params import OptionsCommand, takes
from lrbench.errors import UsageError
from lrbench.inputs import COMPARE, FIND, compare_spec, from_python, merged, resolved_toml
from lrbench.inputs.commands import declared
from lrbench.options import CompareSpec, Host, Opt, Recipe, changed, differences, with_keywords


class Baked(CompareSpec):
    """A comparison with two options more."""

    oven_heat: Annotated[
        float, Field(gt=0), Opt("--oven-heat -H", "How hot.", panel="Kitchen", common=True)
    ] = 1.5
    crust: Annotated[Literal["thin", "thick"], Opt("--crust", "The crust:")] = "thin"


OPTIONS = declared("compare", Recipe, Baked, Host)
GIVEN = {"lr": "0.1", "epochs": 3, "oven_heat": 2.5, "crust": "thick"}


def command_line() -> typer.Typer:
    made = typer.Typer()

    @takes(OPTIONS)
    def bake(given: dict[str, Any]) -> None:
        """Bake."""
        typer.echo(resolved_toml(compare_spec(given, Baked), given), nl=False)

    made.command(cls=OptionsCommand)(bake)
    return made


def said(made: typer.Typer, *argv: str, **env: str) -> str:
    found = CliRunner().invoke(made, list(argv), prog_name="bake", env={"COLUMNS": "200", **env})
    return found.output


def completed(made: typer.Typer, words: str) -> str:
    return said(made, _BAKE_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=words)


def test_the_help_shows_it_with_its_default_and_its_values() -> None:
    short, whole = (said(command_line(), flag) for flag in ("--help", "--help-all"))
    assert "Kitchen" in short and "How hot. [default: 1.5]" in short and "-H" in short
    assert "--crust" not in short and "The crust: thin, thick. [default: thin]" in whole


def test_it_is_completed_with_its_values_although_the_short_help_hides_it() -> None:
    assert "--crust" in completed(command_line(), "bake --cru")
    found = completed(command_line(), "bake --crust thi")
    assert "thin" in found and "thick" in found


def test_the_command_line_and_toml_set_it_and_print_config_says_it(tmp_path: Path) -> None:
    argv = ["--lr", "0.1", "--epochs", "3", "-H", "2.5", "--crust", "thick"]
    printed = said(command_line(), *argv)
    assert tomllib.loads(printed)["oven_heat"] == 2.5
    file = tmp_path / "run.toml"
    file.write_text(printed)
    spec = compare_spec(merged({}, file, OPTIONS), Baked)
    assert spec == compare_spec(GIVEN, Baked)
    assert (spec.oven_heat, spec.crust) == (2.5, "thick")  # type: ignore[attr-defined]
    assert tomllib.loads(said(command_line(), "--lr", "0.1"))["crust"] == "thin"


def test_it_is_a_keyword_in_python() -> None:
    @with_keywords(OPTIONS)
    def bake(tin: str, **options: Any) -> None:
        """Bake."""

    parameters = inspect.signature(bake).parameters
    assert (parameters["oven_heat"].default, parameters["oven_heat"].annotation) == (1.5, float)
    assert parameters["crust"].default == "thin" and "tin" in parameters
    assert "oven_heat: How hot." in (bake.__doc__ or "")
    assert from_python({"oven_heat": 2, "crust": None}, OPTIONS) == {"oven_heat": 2}
    with pytest.raises(UsageError, match="unknown option 'oven_heet'; did you mean oven_heat"):
        from_python({"oven_heet": 2}, OPTIONS)


def test_a_refusal_names_it() -> None:
    with pytest.raises(UsageError, match=r"^--oven-heat 0\.0: must be greater than 0$"):
        compare_spec({"lr": "0.1", "oven_heat": 0.0}, Baked)


def test_a_changed_experiment_and_the_plan_name_it() -> None:
    old, new = (compare_spec({**GIVEN, "oven_heat": heat}, Baked) for heat in (2.5, 3.0))
    dumped = [spec.model_dump(mode="json") for spec in (old, new)]
    assert differences(*dumped, Baked) == ["--oven-heat 2.5 -> 3.0"]
    assert {"oven heat 2.5", "crust thick"} <= {*changed(old)}
    assert "oven heat 1.5" not in [*changed(Baked())]


@pytest.mark.parametrize("command", ["find", "compare"])
def test_help_all_shows_every_option_and_no_internal_executor(command: str) -> None:
    short, whole = (said(app, command, flag) for flag in ("--help", "--help-all"))
    words, common = ({w.strip("│") for w in re.split(r"[\s,]+", text)} for text in (whole, short))
    for option in (FIND if command == "find" else COMPARE).values():
        assert {*option.names[0].split("/")} & words, option.key
        assert bool({*option.names[0].split("/")} & common) == option.common
    assert "mock" not in whole and "[default: (" not in whole and "{choices}" not in whole
    assert f"lrbench {command} --help-all shows every option" in short


def test_a_command_of_few_options_shows_them_all() -> None:
    whole = said(app, "report", "--help")
    assert "--fail-below" in whole and "--export-csv" in whole and "--json" in whole


def test_schedules_are_completed() -> None:
    found = said(app, _BAKE_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="bake compare -s co")
    assert "constant" in found and "cosine" in found


def test_every_option_has_one_spelling_in_a_command() -> None:
    for options in (FIND, COMPARE):
        names = [name for option in options.values() for name in option.names]
        assert len(names) == len({*names}) and all(option.help for option in options.values())
