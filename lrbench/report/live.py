"""Progress while trials train, on stderr: a live table on a terminal, else a line per trial."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lrbench.analysis.diagnosis import diagnose, trial_line
from lrbench.options import CompareSpec, TrialSpec
from lrbench.plan import Plan
from lrbench.rangetest.result import FindProgress, FindResult
from lrbench.records import CutRecord, EpochRecord, History, TrialEnd
from lrbench.report.plan import STAGES, readable_time
from lrbench.report.schedules import sparkline as bars
from lrbench.report.style import watched
from lrbench.report.text import clean

Show = Callable[[Any], None]
SPARK_WIDTH = 12
WIDE = 60


@dataclass
class Progress:
    """How far one schedule has come in this stage."""

    planned: int = 0
    done: int = 0
    failed: int = 0
    best: float | None = None
    curve: list[float] = field(default_factory=list)


@dataclass
class State:
    """What the events so far say. `later` counts the epochs of final trials that are known to come
    but not planned yet."""

    stage: str = ""
    total: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    sweep: FindProgress | None = None
    trial: TrialSpec | None = None
    seen: dict[str, list[EpochRecord | CutRecord]] = field(default_factory=dict)
    start_s: float = 0.0
    epochs_done: int = 0
    stage_epochs: int = 0
    later: int = 0
    cut: str = ""
    findings: list[str] = field(default_factory=list)
    reported: dict[str, set[str]] = field(default_factory=dict)
    metric: str = "accuracy"
    rows: dict[str, Progress] = field(default_factory=dict)

    @property
    def begun(self) -> int:
        """The number of the latest trial among those of its stage."""
        return self.numbers.get(self.trial.id, 0) if self.trial else 0

    @property
    def last(self) -> EpochRecord | None:
        seen = self.seen.get(self.trial.id, []) if self.trial else []
        return next((each for each in reversed(seen) if isinstance(each, EpochRecord)), None)

    @property
    def left_s(self) -> float | None:
        """Seconds left for the whole run at its pace so far; None before the first epoch."""
        if not self.epochs_done:
            return None
        pace_s = (time.monotonic() - self.start_s) / self.epochs_done
        return pace_s * max(0, self.stage_epochs + self.later - self.epochs_done)


def advance(state: State, event: Any, finals: int = 0) -> list[str]:
    """Take in an event of the session: a plan, a point of the range test, records of a trial.
    `finals` is the number of final trials that the whole run will have. Returns lines to print
    where nothing is animated."""
    match event:
        case Plan():
            return _plan_began(state, event, finals)
        case (trial, records):
            return _trained(state, trial, records)
        case FindProgress():
            state.sweep = event
        case FindResult():
            return [_range_test_line(event)]
    return []


def _plan_began(state: State, plan: Plan, finals: int) -> list[str]:
    state.stage, state.trial, state.numbers, state.seen = plan.stage, None, {}, {}
    state.total = len(plan.trials)
    here = sum(trial.epochs for trial in plan.trials)
    each = max((trial.epochs for trial in (*plan.trials, *plan.tuning)), default=0)
    state.stage_epochs = state.epochs_done + here
    state.later = finals * each if plan.stage == "tune" else 0
    if plan.trials:
        state.start_s = state.start_s or time.monotonic()
        state.rows = {}
    for trial in plan.trials:
        state.rows.setdefault(trial.name, Progress()).planned += 1
    name = STAGES.get(plan.stage)
    if name is None:
        return []
    return [f"{name}: {state.total} trials" if state.total else name]


def _range_test_line(result: FindResult) -> str:
    if result.lr is None:
        return f"range test: no learning rate ({clean(', '.join(result.reasons))})"
    return f"range test: lr {result.lr:.3g}, grade {result.grade}"


def _trained(state: State, trial: TrialSpec, records: Any) -> list[str]:
    state.trial = trial  # several may run at a time, their records interleaved
    state.numbers.setdefault(trial.id, len(state.numbers) + 1)
    state.start_s = state.start_s or time.monotonic()
    row = state.rows.setdefault(trial.name, Progress())
    lines = []
    for record in records:
        if isinstance(record, EpochRecord):
            state.seen.setdefault(trial.id, []).append(record)
            state.epochs_done += 1
            _learn(state, row, record)
        elif isinstance(record, CutRecord):
            state.seen.setdefault(trial.id, []).append(record)
            state.cut = _cut_line(trial, record)
            lines.append(state.cut)
        elif isinstance(record, TrialEnd):
            row.done += 1
            row.failed += record.status != "done"
            state.epochs_done += max(0, trial.epochs - record.epochs)
            lines.append(_ended_line(state, trial, record))
            state.findings = _finding_lines(state, trial, record)
            lines += state.findings
    return lines


def _finding_lines(state: State, trial: TrialSpec, end: TrialEnd) -> list[str]:
    """What the curves of a trial that has ended say, if they were seen from its start."""
    seen = state.seen.pop(trial.id, [])
    state.seen[trial.id] = seen[-1:]
    epochs = tuple(each for each in seen if isinstance(each, EpochRecord))
    if len(epochs) != end.epochs:
        return []
    cuts = tuple(each for each in seen if isinstance(each, CutRecord))
    history = History(trial, epochs, cuts=cuts, end=end)
    reported = state.reported.setdefault(trial.name, set())
    words = trial_line(history, reported)
    reported |= set(diagnose(history)) if words else set()
    name = f"{trial.stage} {clean(trial.name, 40)} lr {trial.lr:.3g} seed {trial.seed}"
    return [f"{name}: {clean(words, 400)}"] if words else []


def _cut_line(trial: TrialSpec, cut: CutRecord) -> str:
    moved = "cut" if cut.new_lr < cut.old_lr else "raised"
    return (
        f"{clean(trial.name, 40)} seed {trial.seed}: LR {moved} from {cut.old_lr:.3g} to "
        f"{cut.new_lr:.3g} after epoch {cut.epoch}"
    )


def _learn(state: State, row: Progress, record: EpochRecord) -> None:
    value, better = record.val_accuracy, max
    if value is None:
        value, better, state.metric = record.val_loss, min, "loss"
    if value is None:
        return
    row.curve = [value] if record.epoch == 1 else [*row.curve, value]
    row.best = value if row.best is None else better(row.best, value)


def _ended_line(state: State, trial: TrialSpec, end: TrialEnd) -> str:
    what = f"{state.begun}/{state.total} {clean(trial.name, 40)} lr {trial.lr:.3g}"
    if end.status != "done":
        result = f"{end.status}: {clean(end.reason)}"
    else:
        accuracy = end.test_accuracy
        kind, loss = "test", end.test_loss
        if accuracy is None and loss is None and state.last is not None:
            kind, accuracy, loss = "val", state.last.val_accuracy, state.last.val_loss
        result = f"{kind} {_score(accuracy, loss)}, {end.train_s:.1f} s"
    left = state.left_s
    tail = f", {readable_time(left)} left" if left and left >= 1 else ""
    seed = f" seed {trial.seed}" if trial.stage == "final" else ""
    return f"{trial.stage} {what}{seed}: {result}{tail}"


def _score(accuracy: float | None, loss: float | None) -> str:
    parts = [f"accuracy {100 * accuracy:.2f} %"] if accuracy is not None else []
    parts += [f"loss {loss:.4f}"] if loss is not None else []
    return ", ".join(parts) or "unmeasured"


def sparkline(values: list[float], width: int = SPARK_WIDTH) -> str:
    """The course of some numbers in at most `width` characters, lowest to highest.

    >>> sparkline([0.1, 0.5, 0.9])
    '▁▅█'
    """
    low = min(values, default=0.0)
    return bars([value - low for value in values], width)


@contextmanager
def live(
    progress: bool | None = None,
    *,
    spec: CompareSpec | None = None,
    console: Console | None = None,
) -> Iterator[Show]:
    """Yield a function that shows the events of a run; without `progress` where somebody watches.
    With the spec, the time left includes the final trials from the start."""
    screen = console or Console(stderr=True, highlight=False)
    if not watched(progress, screen):
        yield lambda event: None
        return
    state = State()
    finals = spec.looks[-1] * len(spec.entrants) if spec else 0
    if screen.is_terminal and screen.is_interactive:
        with _animated(screen, state, finals) as show:
            yield show
        return

    def show_lines(event: Any) -> None:
        for line in advance(state, event, finals):
            screen.print(line, markup=False, soft_wrap=True)

    yield show_lines


@contextmanager
def _animated(screen: Console, state: State, finals: int) -> Iterator[Show]:
    with Live(
        get_renderable=lambda: picture(state, screen.width),
        console=screen,
        refresh_per_second=4,
        transient=True,
    ):

        def show(event: Any) -> None:
            state.findings = []
            advance(state, event, finals)
            for line in state.findings:  # above the picture
                screen.print(line, markup=False, style="yellow")

        yield show


def picture(state: State, width: int = 80) -> Group:
    """What a terminal of that width shows now: a table of schedules, a bar, the current trial."""
    parts: list[RenderableType] = [_schedules(state, width)] if state.rows else []
    parts.append(_bar(state))
    if state.trial is not None:
        parts.append(Text(_now(state)))
    if state.cut:
        parts.append(Text(state.cut, style="dim"))
    return Group(*parts)


def _schedules(state: State, width: int) -> Table:
    table = Table(box=None, pad_edge=False)
    best = f"best val {state.metric}" if width >= WIDE else "best"
    spark = SPARK_WIDTH if width >= WIDE else SPARK_WIDTH // 2
    table.add_column("schedule", no_wrap=True)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column(best, justify="right", no_wrap=True)
    table.add_column("latest", no_wrap=True, min_width=spark)
    current = state.trial.name if state.trial else None
    for name, row in state.rows.items():
        failed = f" ({row.failed} failed)" if row.failed else ""
        table.add_row(
            Text(clean(name, min(60, max(13, width - 46)))),
            f"{row.done}/{row.planned}{failed}",
            "" if row.best is None else _best(row.best, state.metric),
            sparkline(row.curve, spark),
            style="bold" if name == current else None,
        )
    return table


def _best(value: float, metric: str) -> str:
    return f"{100 * value:.2f} %" if metric == "accuracy" else f"{value:.4f}"


def _bar(state: State) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    total, done = state.stage_epochs + state.later, state.epochs_done
    left = f"{readable_time(state.left_s)} left" if state.left_s is not None else ""
    if state.stage == "find" and state.sweep is not None:
        total, done = state.sweep.total, state.sweep.done
        left = f"{state.sweep.stage}, lr {state.sweep.lr:.1e}"
    bar = ProgressBar(total=max(total, 1), completed=done, width=24)
    grid.add_row(STAGES.get(state.stage, state.stage), bar, left)
    return grid


def _now(state: State) -> str:
    trial, last = state.trial, state.last
    assert trial is not None
    text = f"trial {state.begun} of {state.total}: {clean(trial.name, 32)}, lr {trial.lr:.3g}"
    if last is None:
        return f"{text}, epoch 1 of {trial.epochs}"
    loss = "" if last.train_loss is None else f", train loss {last.train_loss:.4f}"
    accuracy = (
        "" if last.val_accuracy is None else f", val accuracy {100 * last.val_accuracy:.2f} %"
    )
    epoch = f", epoch {last.epoch} of {trial.epochs}"
    return f"{text}{epoch}{loss}{accuracy}, {last.throughput_img_s:,.0f} img/s"
