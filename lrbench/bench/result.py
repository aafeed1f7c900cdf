"""What a benchmark found: a line for each loop and each switch, and what else was timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lrbench.bench.figures import Ratio, Round, cpu_ratio, cpu_us_image, images_s, ratio


@dataclass(frozen=True)
class Line:
    """One contender's figures, medians over rounds.

    For a loop, ratios are the engine over it: how many times as fast the engine is. For a switch
    they are the switched engine over the engine. `cpu_ratio` is by CPU time where that is known.
    """

    kind: Literal["loop", "switch"]
    name: str
    images_s: float | None = None
    cpu_us_image: float | None = None
    ratio: Ratio | None = None
    cpu_ratio: Ratio | None = None
    import_s: float | None = None
    data_s: float | None = None
    first_epoch_s: float | None = None
    why_not: str = ""
    rounds: tuple[Round, ...] = ()
    laid_out_s: float | None = None  # onto the device, and captured where it is a graph

    @property
    def verdict(self) -> str:
        """`faster`, `slower`, `no difference`, or empty where nothing was compared."""
        if self.ratio is None or self.name == "engine":
            return ""
        if not self.ratio.is_difference:
            return "no difference"
        return "faster" if self.ratio.median > 1 else "slower"


@dataclass(frozen=True)
class Result:
    """A whole benchmark. `machine` and `workload` say on what it depends."""

    machine: Mapping[str, Any]
    workload: Mapping[str, Any]
    lines: Sequence[Line]
    compute: Mapping[str, float] = field(default_factory=dict)
    grid: Mapping[str, Any] = field(default_factory=dict)
    eager_schedules: Sequence[str] = ()  # trained without a captured step

    @property
    def loops(self) -> list[Line]:
        return [line for line in self.lines if line.kind == "loop"]

    @property
    def best_reference(self) -> Line | None:
        """The fastest of the reference loops: the one to quote."""
        return _fastest(self.loops, "reference")

    @property
    def best_tuned(self) -> Line | None:
        return _fastest(self.loops, "tuned")

    @property
    def ceiling(self) -> Ratio | None:
        """Steps without any loading over the best reference loop: what a loop of these eager steps
        can pass by noise alone."""
        alone, best = _fastest(self.loops, "steps alone"), self.best_reference
        return ratio(alone.rounds, best.rounds) if alone and best else None

    def to_dict(self) -> dict[str, Any]:
        best = {"best_reference": self.best_reference, "best_tuned": self.best_tuned}
        lines = [{**asdict(line), "verdict": line.verdict} for line in self.lines]
        return {
            "machine": dict(self.machine),
            "workload": dict(self.workload),
            **{name: line and line.name for name, line in best.items()},
            "ceiling": self.ceiling and asdict(self.ceiling),
            "lines": lines,
            "compute": dict(self.compute),
            "grid": dict(self.grid),
            "eager_schedules": list(self.eager_schedules),
        }

    def rows(self) -> list[dict[str, Any]]:
        """The lines as a flat table."""
        return [_row(line) for line in self.lines]


def line_of(
    kind: Literal["loop", "switch"],
    name: str,
    rounds: Sequence[Round],
    engine: Sequence[Round],
    ready: Mapping[str, float],
    why_not: str = "",
) -> Line:
    """A contender's figures from its rounds and the engine's."""
    if not rounds:
        return Line(kind, name, why_not=why_not or "not measured")
    pair = (engine, rounds) if kind == "loop" else (rounds, engine)
    return Line(
        kind,
        name,
        images_s(rounds),
        cpu_us_image(rounds),
        ratio(*pair),
        cpu_ratio(*pair),
        import_s=ready.get("import_s"),
        data_s=ready.get("data_s"),
        laid_out_s=ready.get("laid_out_s"),
        first_epoch_s=ready.get("first_epoch_s"),
        rounds=tuple(rounds),
    )


def _fastest(lines: Sequence[Line], start: str) -> Line | None:
    found = [line for line in lines if line.name.startswith(start) and line.images_s]
    return max(found, key=lambda line: line.images_s or 0.0, default=None)


def _row(line: Line) -> dict[str, Any]:
    row = asdict(line)
    del row["rounds"]
    for name in ("ratio", "cpu_ratio"):
        found = row.pop(name) or {"median": None, "low": None, "high": None}
        row |= {name: found["median"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
    return {**row, "rounds": len(line.rounds), "verdict": line.verdict}
