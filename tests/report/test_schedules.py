"""Schedules shown to people."""

from pathlib import Path

from rich.console import Console

from lrbench.report.schedules import (
    catalogue_table,
    draw_catalogue,
    draw_schedules,
    preview_table,
    sparkline,
)
from lrbench.schedules import catalogue, parse


def shown(table: object, width: int = 80) -> str:
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_the_catalogue_names_every_schedule_within_80_columns() -> None:
    text = shown(catalogue_table(catalogue()))
    assert all(entry.name in text for entry in catalogue())
    assert max(len(line) for line in text.splitlines()) <= 80


def test_a_preview_shows_the_lr_at_points_of_the_run_and_names_as_text() -> None:
    table = parse("linear").table(lr=1.0, steps=100, steps_per_epoch=10)
    text = shown(preview_table({"linear": table, "expr('[/red] 1')": [1.0, 0.5]}))
    assert "50 %" in text and " 0.5 " in text and "0.01" in text and "[/red]" in text


def test_the_schedules_and_the_catalogue_have_pictures(tmp_path: Path) -> None:
    table = {"cosine": parse("cosine").table(lr=0.1, steps=50, steps_per_epoch=5)}
    draw_schedules(table, 5, tmp_path / "one.svg")
    draw_catalogue(catalogue(), tmp_path / "all.png")
    assert b"<svg" in (tmp_path / "one.svg").read_bytes()
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")


def test_sparkline_goes_from_the_first_value_to_the_last() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], width=8) == "▁▂▃▄▅▆▇█"
    line = sparkline(parse("linear").table(lr=1.0, steps=1000, steps_per_epoch=10))
    assert len(line) == 24 and line[0] == "█" and line[-1] == "▁"
    assert list(line) == sorted(line, reverse=True)
    assert sparkline([0.0] * 99 + [1.0], width=10) == "▁" * 9 + "█"
    assert [len(sparkline(values)) for values in ([], [0.0], [1.0], [0.0, 0.0])] == [0, 1, 1, 2]
