"""Progress of trials on stderr: a live table on a terminal, otherwise a line per trial."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lrbench.analysis.amounts import loss_text
from lrbench.analysis.diagnosis import diagnose, trial_line
from lrbench.options import CompareSpec, TrialSpec
from lrbench.plan import Plan
from lrbench.rangetest.result import FindProgress, FindResult
from lrbench.records import CutRecord, History, Record, StepRecord, TrialEnd, extended
from lrbench.report.plan import STAGES, readable_time, watched
from lrbench.report.schedules import sparkline
from lrbench.report.text import clean

Show = Callable[[Any], None]
WIDE = 60


@dataclass
class State:
    """The run as its events describe it: the trials planned in this stage, and the histories of
    those that have begun, numbered in that order. `finals` counts the whole run's final trials,
    `planned_epochs` the epochs up to the end of this stage, `later` those still to be planned. In
    `epochs_done` a trial that ended early counts in full."""

    finals: int = 0
    stage: str = ""
    planned: Sequence[TrialSpec] = ()
    histories: dict[str, History] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    latest: str = ""
    sweep: FindProgress | None = None
    cut: str = ""
    reported: dict[str, set[str]] = field(default_factory=dict)
    epochs_done: int = 0
    planned_epochs: int = 0
    later: int = 0
    start_s: float = 0.0

    @property
    def epochs(self) -> int:
        return self.planned_epochs + self.later

    @property
    def left_s(self) -> float | None:
        """Seconds left for the whole run at its current pace; None before the first epoch."""
        if not self.epochs_done:
            return None
        pace_s = (time.monotonic() - self.start_s) / self.epochs_done
        return pace_s * max(0, self.epochs - self.epochs_done)


def advance(state: State, event: Any) -> list[Text]:
    """Update the state with an event: a plan, a point or result of the range test, or a trial's
    records. Returns the lines to print; above a live table, only those with a style."""
    match event:
        case Plan():
            return _plan_began(state, event)
        case (trial, records):
            return list(_trained(state, trial, records))
        case FindProgress():
            state.sweep = event
        case FindResult(lr=None):
            return [Text(f"range test: no learning rate ({clean(', '.join(event.reasons))})")]
        case FindResult():
            return [Text(f"range test: lr {event.lr:.3g}, grade {event.grade}")]
    return []


def _plan_began(state: State, plan: Plan) -> list[Text]:
    state.stage, state.latest, state.later = plan.stage, "", 0
    if plan.trials:
        state.start_s = state.start_s or time.monotonic()
        state.planned, state.histories, state.numbers = plan.trials, {}, {}
        state.planned_epochs = state.epochs_done + sum(trial.epochs for trial in plan.trials)
    if plan.stage == "tune":
        each = max((trial.epochs for trial in (*plan.trials, *plan.tuning)), default=0)
        state.later = state.finals * each
    count = f": {len(plan.trials)} trials" if plan.trials else ""
    return [Text(STAGES[plan.stage] + count)] if plan.stage in STAGES else []


def _trained(state: State, trial: TrialSpec, records: Sequence[Record]) -> Iterator[Text]:
    kept = [record for record in records if not isinstance(record, StepRecord)]
    key = state.latest = trial.id  # parallel trials interleave their records
    before = state.histories.get(key, History(trial))
    history = state.histories[key] = extended(before, kept)
    state.numbers.setdefault(key, len(state.histories))
    state.epochs_done += _epochs(history) - _epochs(before)
    state.start_s = state.start_s or time.monotonic()
    for record in records:
        if isinstance(record, CutRecord):
            state.cut = _cut_line(trial, record)
            yield Text(state.cut)
        elif isinstance(record, TrialEnd):
            yield Text(_ended_line(state, history, record))
            if found := _finding_line(state, history, record):
                yield Text(found, style="yellow")


def _finding_line(state: State, history: History, end: TrialEnd) -> str:
    """What an ended trial's curves show; empty if an epoch was not seen."""
    trial = history.spec
    reported = state.reported.setdefault(trial.name, set())
    words = trial_line(history, reported) if len(history.epochs) == end.epochs else ""
    if not words:
        return ""
    reported |= set(diagnose(history))
    name = f"{trial.stage} {clean(trial.name, 40)} lr {trial.lr:.3g} seed {trial.seed}"
    return f"{name}: {clean(words, 400)}"


def _cut_line(trial: TrialSpec, cut: CutRecord) -> str:
    moved = "cut" if cut.new_lr < cut.old_lr else "raised"
    return (
        f"{clean(trial.name, 40)} seed {trial.seed}: LR {moved} from {cut.old_lr:.3g} to "
        f"{cut.new_lr:.3g} after epoch {cut.epoch}"
    )


def _ended_line(state: State, history: History, end: TrialEnd) -> str:
    trial = history.spec
    if end.status != "done":
        result = f"{end.status}: {clean(end.reason)}"
    else:
        kind, accuracy, loss = "test", end.test_accuracy, end.test_loss
        if accuracy is None and loss is None and history.epochs:
            last = history.epochs[-1]
            kind, accuracy, loss = "val", last.val_accuracy, last.val_loss
        result = f"{kind} {_score(accuracy, loss)}, {end.train_s:.1f} s"
    left = state.left_s
    tail = f", {readable_time(left)} left" if left and left >= 1 else ""
    seed = f" seed {trial.seed}" if trial.stage == "final" else ""
    place = f"{state.numbers[state.latest]}/{len(state.planned)}"
    what = f"{place} {clean(trial.name, 40)} lr {trial.lr:.3g}"
    return f"{trial.stage} {what}{seed}: {result}{tail}"


def _epochs(history: History) -> int:
    return history.spec.epochs if history.end else len(history.epochs)


def _score(accuracy: float | None, loss: float | None) -> str:
    parts = [f"accuracy {100 * accuracy:.2f} %"] if accuracy is not None else []
    parts += [f"loss {loss_text(loss)}"] if loss is not None else []
    return ", ".join(parts) or "unmeasured"


@contextmanager
def live(
    progress: bool | None = None,
    *,
    spec: CompareSpec | None = None,
    console: Console | None = None,
) -> Iterator[Show]:
    """Yield a function that shows a run's events; with `progress` None, only on a terminal or in a
    notebook. With `spec`, the time left includes the final trials from the start."""
    screen = console or Console(stderr=True, highlight=False, emoji=False)
    if not watched(progress, screen):
        yield lambda event: None
        return
    state = State(finals=spec.looks[-1] * len(spec.entrants) if spec else 0)
    animated = screen.is_terminal and screen.is_interactive
    lock = Lock()  # another thread draws the picture

    def drawn() -> Group:
        with lock:
            return picture(state, screen.width)

    def show(event: Any) -> None:
        with lock:
            lines = advance(state, event)
        for line in lines:
            if line.style or not animated:
                screen.print(line, soft_wrap=not animated)

    animation = Live(get_renderable=drawn, console=screen, refresh_per_second=4, transient=True)
    with animation if animated else nullcontext():
        yield show


def picture(state: State, width: int = 80) -> Group:
    """The live display at this width: a table of schedules, a bar, the current trial."""
    parts: list[RenderableType] = [_schedules(state, width)] if state.planned else []
    parts.append(_bar(state))
    if state.latest:
        parts.append(Text(_now(state, state.histories[state.latest])))
    if state.cut:
        parts.append(Text(state.cut, style="dim"))
    return Group(*parts)


def _schedules(state: State, width: int) -> Table:
    begun, wide = list(state.histories.values()), width >= WIDE
    accuracies = _values(begun, "val_accuracy") or not _values(begun, "val_loss")
    metric = "accuracy" if accuracies else "loss"
    current = state.histories.get(state.latest)
    spark = 12 if wide else 6
    table = Table(box=None, pad_edge=False)
    table.add_column("schedule", no_wrap=True)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column(f"best val {metric}" if wide else "best", justify="right", no_wrap=True)
    table.add_column("latest", no_wrap=True, min_width=spark)
    for name, planned in Counter(trial.name for trial in state.planned).items():
        mine = [history for history in begun if history.spec.name == name]
        ended = Counter(history.end.status == "done" for history in mine if history.end)
        failed = f" ({ended[False]} failed)" if ended[False] else ""
        curve = next(filter(None, (_values([h], f"val_{metric}") for h in reversed(mine))), [])
        table.add_row(
            Text(clean(name, min(60, max(13, width - 46)))),
            f"{ended.total()}/{planned}{failed}",
            _best(_values(mine, f"val_{metric}"), metric),
            sparkline([value - min(curve) for value in curve], spark),
            style="bold" if current and name == current.spec.name else None,
        )
    return table


def _values(histories: Sequence[History], column: str) -> list[float]:
    """The column's known values."""
    found = (getattr(epoch, column) for history in histories for epoch in history.epochs)
    return [value for value in found if value is not None]


def _best(values: Sequence[float], metric: str) -> str:
    if not values:
        return ""
    return f"{100 * max(values):.2f} %" if metric == "accuracy" else loss_text(min(values))


def _bar(state: State) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    total, done = state.epochs, state.epochs_done
    left = f"{readable_time(state.left_s)} left" if state.left_s is not None else ""
    if state.stage == "find" and state.sweep is not None:
        total, done = state.sweep.total, state.sweep.done
        left = f"{state.sweep.stage}, lr {state.sweep.lr:.1e}"
    bar = ProgressBar(total=max(total, 1), completed=done, width=24)
    grid.add_row(STAGES.get(state.stage, state.stage), bar, left)
    return grid


def _now(state: State, history: History) -> str:
    trial = history.spec
    place = f"trial {state.numbers[state.latest]} of {len(state.planned)}"
    text = f"{place}: {clean(trial.name, 32)}, lr {trial.lr:.3g}"
    if not history.epochs:
        return f"{text}, epoch 1 of {trial.epochs}"
    last = history.epochs[-1]
    text += f", epoch {last.epoch} of {trial.epochs}"
    text += "" if last.train_loss is None else f", train loss {loss_text(last.train_loss)}"
    text += "" if last.val_accuracy is None else f", val accuracy {100 * last.val_accuracy:.2f} %"
    return f"{text}, {last.throughput_img_s:,.0f} img/s"
