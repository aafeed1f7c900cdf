"""A benchmark on the terminal: at most 80 columns, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lrbench.bench.figures import Ratio
from lrbench.bench.probe import Finding
from lrbench.bench.result import Line, Result
from lrbench.report.console import plain_table
from lrbench.report.text import clean

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table


def bench_tables(result: Result) -> Group:
    """The loops, the engine's switches, what was timed apart, and the answer in a sentence."""
    from rich.console import Group
    from rich.text import Text

    loops = result.loops
    switches = [line for line in result.lines if line.kind == "switch"]
    words = [Text(sentence, style="bold") for sentence in sentences(result)]
    return Group(
        Text(workload_line(result)), Text(),
        _table("loop", "engine is", loops), Text(),
        _table("engine with", "is then", switches), Text(),
        *(Text(line) for line in apart(result)),
        *words,
    )  # fmt: skip


def probe_table(findings: Sequence[Finding]) -> Table:
    """One line a finding."""
    table = plain_table()
    table.add_column("finding", overflow="fold")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for found in findings:
        value = "·" if found.value is None else f"{found.value:.4g}"
        table.add_row(found.name, value, " ".join([found.unit, found.note]).strip())
    return table


def workload_line(result: Result) -> str:
    recipe, machine = result.workload["recipe"], result.machine
    rounds = max((len(line.rounds) for line in result.lines), default=0)
    threads, epochs = machine["threads"], result.workload["epochs_per_round"]
    return (
        f"{clean(recipe['model'])} on {clean(recipe['dataset'], 40)}, batch "
        f"{recipe['batch_size']}, {recipe['precision']}, {machine['device']}, {threads} "
        f"thread{'' if threads == 1 else 's'}; {rounds} rounds of "
        f"{epochs} epoch{'' if epochs == 1 else 's'}"
    )


def sentences(result: Result) -> list[str]:
    """How many times as fast the engine is as the best loops by hand."""
    found = []
    for line, words in (
        (result.best_reference, "the best reference loop"),
        (result.best_tuned, "the fastest loop by hand"),
    ):
        if line is None or line.ratio is None:
            continue
        times = f"{spread(line.ratio)} times as fast as {words} ({line.name})"
        same = "" if line.ratio.is_difference else ": no difference"
        found.append(f"The engine is {times}{same}.")
    if result.ceiling is not None:
        found.append(
            f"Steps without any loading are {spread(result.ceiling)} times as fast as the best "
            "reference loop: about the most that a loop of the same eager steps can be."
        )
    for line in result.loops:
        if line.name.startswith("reference") and line.cpu_ratio is not None:
            found.append(f"By CPU time it is {spread(line.cpu_ratio)} times {line.name}.")
    return found


def apart(result: Result) -> list[str]:
    """Seconds that are in no ratio: imports, reading the data, the first epoch, the whole grid."""
    engine = next((line for line in result.lines if line.name == "engine"), None)
    compiled = next((line for line in result.lines if line.name == "compiled"), None)
    lines = []
    if engine is not None and engine.import_s is not None:
        lines.append(
            f"Apart: importing torch {engine.import_s:.1f} s, reading the data "
            f"{engine.data_s:.2f} s, the engine's first epoch {engine.first_epoch_s:.2f} s"
        )
    if compiled is not None and compiled.first_epoch_s is not None:
        lines.append(f"Apart: the first epoch with compiling {compiled.first_epoch_s:.1f} s")
    captured = next((line for line in result.lines if line.name == "CUDA graph"), None)
    if captured is not None and captured.laid_out_s is not None:
        lines.append(f"Apart: laying out and capturing a step {captured.laid_out_s:.1f} s")
    counted, whole = result.compute, result.grid
    if counted:
        share = (
            f", {100 * counted['share']:.1f} % of a matrix product's" if "share" in counted else ""
        )
        lines.append(
            f"Compute: {counted['flops_per_image'] / 1e6:.1f} MFLOP an image, the engine "
            f"{counted['engine_flops_s'] / 1e9:,.0f} GFLOP/s{share}"
        )
    if whole:
        lines.append(
            f"A whole grid of {whole['trials']} trials of {whole['epochs']} epochs, from start to "
            f"end: engine {whole['engine_s']:.1f} s, by hand {whole['by_hand_s']:.1f} s "
            f"({whole['by_hand_timed_trials']} trials timed and scaled): "
            f"{whole['ratio']:.2f} times as fast"
        )
    if result.eager_schedules:
        lines.append(
            f"With --graph {', '.join(result.eager_schedules)} train without it: they move the "
            "momentum"
        )
    return lines


def spread(ratio: Ratio) -> str:
    """
    >>> spread(Ratio(3.021, 2.9, 3.25))
    '3.02 (2.90-3.25)'
    """
    return f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"


def _table(heading: str, ratio_heading: str, lines: Sequence[Line]) -> Table:
    table = plain_table()
    table.add_column(heading, overflow="fold")
    table.add_column("img/s", justify="right", no_wrap=True)
    table.add_column("CPU µs/img", justify="right", no_wrap=True)
    table.add_column(f"{ratio_heading} × as fast", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for line in lines:
        if line.images_s is None:
            table.add_row(line.name, "·", "·", "·", clean(line.why_not, 200))
            continue
        own = line.name == "engine" or line.ratio is None
        table.add_row(
            line.name,
            f"{line.images_s:,.0f}",
            "·" if line.cpu_us_image is None else f"{line.cpu_us_image:.1f}",
            "" if own or line.ratio is None else spread(line.ratio),
            line.verdict,
        )
    return table
