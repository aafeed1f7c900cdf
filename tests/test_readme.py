"""What the documentation tells people to type can be typed, and what it shows is there."""

import io
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import typer
from rich.console import Console

from lrbench.__main__ import run
from lrbench.analysis import Question, summarise
from lrbench.analysis.frames import completed
from lrbench.analysis.ranking import ranking_frame
from lrbench.analysis.standing import standings
from lrbench.cli.app import app
from lrbench.report.console import answer
from lrbench.schedules import expand, parse

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "results" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPERATORS = {"&&", "||", ";", "|"}


def typed(text: str) -> Iterator[list[str]]:
    """The words of each `lrbench` command in shell blocks and in inline code."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.S)
    mentions = re.findall(r"`(lrbench \w+ [^`]+)`", text)  # with more than a command's bare name
    blocks += [code for code in mentions if "…" not in code]
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&<>")
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, ";"]:
                if word in OPERATORS or word.startswith((">", "<")):
                    if words[:1] == ["lrbench"]:
                        yield words[1:]
                    words = []
                else:
                    words.append(word)


COMMANDS = [
    pytest.param(words, id=f"{page.name}: {' '.join(words)}"[:100])
    for page in PAGES
    for words in typed(page.read_text(encoding="utf-8"))
    if not {word for word in words if re.fullmatch(r"[A-Z_]{2,}", word)}  # a form, such as RUN
]


def understood(words: list[str]) -> None:
    """Read a command line as `lrbench` does, and run nothing."""
    command = typer.main.get_command(app)
    context = command.make_context("lrbench", list(words), resilient_parsing=False)
    while (rest := [*context._protected_args, *context.args]) and hasattr(
        command := context.command, "commands"
    ):
        _, found, left = command.resolve_command(context, rest)
        context = found.make_context(found.name, left, parent=context)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_parses(words: list[str]) -> None:
    understood([word for word in words if word not in ("--help", "--version")] or ["find"])
    for option, value in pairwise(words):
        if option in ("-s", "--schedule", "--reference") and ":" not in value:
            [parse(one) for one in expand(value)]


QUESTIONS = [*typed((ROOT / "docs" / "questions.md").read_text(encoding="utf-8"))]


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_every_question_is_a_command_that_means_something(words: list[str]) -> None:
    if words[:1] in (["compare"], ["find"]):
        assert run([*words, "--print-config"]) == 0


def test_there_are_commands_and_a_wrong_one_is_seen() -> None:
    assert len(COMMANDS) > 20
    for wrong in (["compare", "--epoch", "3"], ["compere"], ["find", "--sweep-groups"]):
        with pytest.raises(Exception, match=r"No such"):
            understood(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_picture_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_every_picture_of_the_readme_stands_under_the_command_that_makes_it() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert len(pictures) >= 3
    makers = {"find": "find", "final": "compare", "schedules": "schedules list"}
    for picture in pictures:
        before = text[: text.index(f"]({picture})")]
        command = re.findall(r"```sh\n(.*?)```", before, flags=re.S)[-1]
        assert f"lrbench {makers[Path(picture).stem]}" in command, picture


def test_no_example_of_the_readme_writes_into_a_committed_run() -> None:
    committed = [f"results/{path.name}" for path in (ROOT / "results").iterdir() if path.is_dir()]
    for words in typed((ROOT / "README.md").read_text(encoding="utf-8")):
        assert not {*words} & {*committed}, words


def test_the_named_runs_can_be_told_again_from_what_is_committed() -> None:
    from lrbench.run.store import Run
    from lrbench.session.compare import recorded

    runs = [path.parent for path in sorted((ROOT / "results").glob("*/manifest.json"))]
    assert runs
    for path in runs:
        run = Run(path)
        assert run.manifest is not None
        if run.manifest["command"] == "compare":
            assert recorded(run).fingerprint == run.manifest["fingerprint"]


def test_the_transcript_is_what_the_tool_says_of_the_committed_run() -> None:
    path = ROOT / "results" / "compare-mnist5k-lenet"
    manifest = json.loads((path / "manifest.json").read_text())
    trials, data = completed(pd.read_csv(path / "trials.csv")), manifest["data"]
    question = Question(
        schedules=tuple(manifest["experiment"]["schedules"]), test_size=data["test"],
        val_size=data["val"], classes=data["classes"], manifest=manifest,
    )  # fmt: skip
    found = tuple(standings(trials, question))
    ranking = ranking_frame(found, trials, question)
    summary = replace(summarise([], question), standings=found, trials=trials, ranking=ranking)
    out = io.StringIO()
    Console(file=out, width=80).print(answer(summary))
    said = "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"```text\n$ lrbench compare\n{said}\n```" in readme
