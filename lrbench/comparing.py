"""A comparison of schedules from Python: the engine and the statistics of `lrbench compare`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lrbench import plugins
from lrbench.errors import Notice, UsageError, named_as_in_python
from lrbench.registry import did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from torch import nn

    from lrbench.analysis import Summary
    from lrbench.experiment import CompareSpec

OBJECTS = ("model", "optimizer", "loss", "augment", "dataset")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a comparison found. Frames have the columns of the files of the same names.

    `code` is the torch lines of the schedule that ranks first, `path` the run's folder where it
    was kept, `manifest` what the run is.
    """

    summary: Summary
    code: str
    manifest: Mapping[str, Any]
    path: Path | None = None

    @property
    def ranking(self) -> DataFrame:
        """A row for each schedule (and budget, and batch size), best first."""
        return self.summary.ranking

    @property
    def trials(self) -> DataFrame:
        return self.summary.trials

    @property
    def epochs(self) -> DataFrame:
        return self.summary.epochs

    @property
    def best(self) -> str | None:
        """The schedule that ranks first, told apart from the others or not."""
        return self.summary.best

    @property
    def winner(self) -> str | None:
        """The schedule that is told apart from every other; None in a tie."""
        return self.summary.winner

    @property
    def lrs(self) -> Mapping[str, float]:
        """The learning rate that was tuned for each schedule."""
        return self.summary.chosen

    @property
    def sentence(self) -> str:
        return self.summary.sentence

    @property
    def notices(self) -> tuple[Notice, ...]:
        return self.summary.notices

    def plot(self, name: str = "final") -> Figure:
        """A picture: final, accuracy, loss, lr, sensitivity, and more where the run has them.

        Raises:
            UsageError: there is no such picture, or nothing to draw in it.
        """
        from lrbench.report.plots import PLOTS

        if name not in PLOTS:
            raise UsageError(f"plot: unknown picture {name!r}", hint=did_you_mean(name, PLOTS))
        figure = PLOTS[name](self.summary)
        if figure is None:
            raise UsageError(f"plot: this comparison has nothing to draw in {name!r}")
        return figure

    def to_html(self, path: str | Path | None = None) -> str:
        """The report as one page that needs no network; written to `path` where there is one.

        Raises:
            MachineError: the file cannot be written.
        """
        from lrbench.files import replace_file
        from lrbench.report.html import compare_page

        page = compare_page(self.summary, self.manifest, self.code)
        if path is not None:
            replace_file(Path(path), page.encode())
        return page

    def __str__(self) -> str:
        return self.sentence


@named_as_in_python()
def compare(
    task: Any = None,
    *,
    schedules: Sequence[str] | str | None = None,
    make_model: Callable[[], nn.Module] | None = None,
    loss_fn: Callable[..., Any] | None = None,
    train: Iterable[Any] | None = None,
    val: Iterable[Any] | None = None,
    test: Iterable[Any] | None = None,
    step: Callable[[Any, Any], Any] | None = None,
    out: str | Path | None = None,
    progress: bool = False,
    **options: Any,
) -> Comparison:
    """Train under each schedule, its LR tuned on validation data, and rank them.

    The problem is a `task` (an object, a class or a `module:Task`), or `make_model`, `loss_fn`
    and re-iterable loaders, or a `dataset` and a `model`, by name or as what a name would stand
    for. All other options are those of `lrbench compare`: `lr=0.1`, `epochs=5`, `seeds=3`, ...;
    `optimizer`, `loss` and `augment` may be functions or classes, `opt` a mapping.

    Args:
        schedules: specs; the six of the command line by default.
        step: `step(model, batch) -> loss`, or loss and number of right answers, instead of
            `loss_fn(model(*inputs), target)`.
        out: a folder that keeps the run, to go on with it; none is left behind by default. An
            object that cannot be imported stands in it by its name alone, so go on with the same.
        progress: show a live table on stderr.

    The process's random generators and number of threads are as before at the end. An exception
    of the user's own code comes out unchanged while the parts are tried on a first batch; later
    on it makes a failed trial, with its reason in `trials`.

    Raises:
        UsageError: an argument that cannot be meant.
        MachineError: a dataset that is missing, a folder that cannot be written.
        NoLearningRate: the range test of `lr="auto"` found none that it could defend.
    """
    loaders = {"make_model": make_model, "train": train, "val": val}
    with plugins.lending(), _unblamed(), _preserved():
        if any(part is not None for part in (*loaders.values(), test, loss_fn, step)):
            task = _loaders_task(task, loaders, loss_fn, test, step)
            if test is None:
                options.setdefault("metric", "val_accuracy")
        given = {**options, "task": task, "schedule": schedules}
        whole = {name: value for name, value in given.items() if value is not None}
        if not whole.get("schedule", True):
            raise UsageError("schedules: it is empty", hint="name one, or leave it out for six")
        with _folder(out) as path:
            return _compared(_named(whole), path, keep=out is not None, progress=progress)


def _compared(options: Mapping[str, Any], path: Path, *, keep: bool, progress: bool) -> Comparison:
    from lrbench.cli.comparison import (
        asked,
        check_schedules,
        summarised,
        winner_code,
        write_files,
    )
    from lrbench.execute import Workbench
    from lrbench.options import compare_spec, executor_of, host_of
    from lrbench.pipeline import resolve, run_comparison, settled, sized, steps_by_batch_size
    from lrbench.report.live import live
    from lrbench.store import RunDir

    executor = executor_of(options)
    if executor != "serial":
        _check_importable(options)
    run = RunDir(path)
    spec: CompareSpec = resolve(compare_spec(options), run)
    bench = Workbench(spec.recipe, settled(host_of(options), run))
    bench.open()
    spec = sized(spec, run, bench)
    check_schedules(spec, steps_by_batch_size(spec, bench))
    with run.writer(), live(quiet=not progress, spec=spec) as show:
        for event in run_comparison(spec, run, bench, asked(spec, run, options), executor):
            show(event)
        summary = summarised(spec, run)
        if keep:
            write_files(summary, run.path)
    return Comparison(
        summary=summary,
        code=winner_code(summary, run),
        manifest=run.manifest() or {},
        path=path if keep else None,
    )


def _check_importable(options: Mapping[str, Any]) -> None:
    """Refuse what other processes cannot import."""
    for name in ("task", *OBJECTS):
        if str(options.get(name, "")).startswith(f"{plugins.LENT}:"):
            raise UsageError(
                f"{name}: other processes cannot import {options[name].partition(':')[2]}",
                hint="put it into a module, or leave out jobs and executor",
            )


def _named(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the command line knows them: objects by their names.

    Raises:
        UsageError: an option that there is not.
    """
    from lrbench.options import COMPARE, HOST, RECIPE, TRAINING, TRIALS
    from lrbench.options.values import flat

    known = (*RECIPE, *TRAINING, *HOST, *TRIALS, *COMPARE)
    for name in options:
        if name not in known:
            raise UsageError(f"compare: unknown option {name!r}", hint=did_you_mean(name, known))
    named = dict(options)
    if "device" in named:
        named["device"] = str(named["device"])  # torch.device has this text
    for name in ("task", *OBJECTS):
        if name in named and not isinstance(named[name], str):
            named[name] = _name_of(name, named[name])
    return {name: flat(name, value) for name, value in named.items()}


def _name_of(option: str, thing: Any) -> str:
    if option == "model" and hasattr(thing, "state_dict") and not isinstance(thing, type):
        raise UsageError(
            "model: it is a module that was made already, so that no seed can draw its weights",
            hint="pass a function or a class that makes one",
        )
    if option != "dataset" or callable(thing):
        return plugins.name_of(thing)

    def dataset() -> Any:
        return thing

    dataset.__qualname__ = "dataset"
    return plugins.name_of(dataset)


def _loaders_task(
    task: Any,
    parts: Mapping[str, Any],
    loss_fn: Callable[..., Any] | None,
    test: Iterable[Any] | None,
    step: Callable[[Any, Any], Any] | None,
) -> Any:
    from lrbench.tasks.loaders import LoadersTask

    missing = [name for name, part in parts.items() if part is None]
    if missing or task is not None:
        raise UsageError(
            f"compare: loaders need {', '.join(missing)}" if missing else "compare: task and train",
            hint="pass make_model, loss_fn (or step), train, val and, if there is one, test; or a "
            "task; or a dataset and a model",
        )
    return LoadersTask(parts["make_model"], loss_fn, parts["train"], parts["val"], test, step=step)


@contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    if out is not None:
        yield Path(out)
        return
    with TemporaryDirectory(prefix="lrbench-") as folder:
        yield Path(folder)


@contextmanager
def _unblamed() -> Iterator[None]:
    """What the user's code raised comes out as it was."""
    try:
        yield
    except plugins.OwnFault as fault:
        if fault.__cause__ is None:
            raise
        raise fault.__cause__ from None


@contextmanager
def _preserved() -> Iterator[None]:
    """Keep the process's random generators, and torch's threads."""
    import torch

    from lrbench.tasks.randomness import random_state

    threads = torch.get_num_threads()
    try:
        with random_state():
            yield
    finally:
        torch.set_num_threads(threads)
