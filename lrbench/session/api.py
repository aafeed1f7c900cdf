"""`lrbench.compare`: a comparison from Python."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from types import NoneType
from typing import TYPE_CHECKING, Any

from lrbench import plugins
from lrbench.analysis import Summary
from lrbench.analysis.words import ranked
from lrbench.errors import UsageError, keyword, named_as_in_python
from lrbench.files import replace_file
from lrbench.inputs import COMPARE, from_python
from lrbench.options import refuse_unknown, with_keywords
from lrbench.report.live import live
from lrbench.report.torch_lines import torch_lines
from lrbench.run.material import own_names
from lrbench.run.store import Run
from lrbench.session import compare as session

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from lrbench.tasks.loaders import LoadersTask


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Summary):
    """The result of a comparison. Its frames have the columns of the CSV files of the same name:
    `ranking` has a row for each schedule (and budget, and batch size), best first.

    `code` holds the torch lines of the schedule that ranks first, `path` the run's folder if it
    was kept, `manifest` the contents of its manifest.
    """

    code: str
    manifest: Mapping[str, Any]
    path: Path | None = None

    @property
    def lrs(self) -> Mapping[str, float]:
        """The tuned learning rate of each schedule."""
        return self.chosen

    def plot(self, name: str = "final") -> Figure:
        """A plot: final, accuracy, loss, lr, sensitivity, and others if the run has their data.

        Raises:
            UsageError: there is no such plot, or the run has no data for it.
        """
        from lrbench.report.plots import plot

        return plot(self, name)

    def to_html(self, path: str | Path | None = None) -> str:
        """The report as one self-contained page, written to `path` if given.

        Raises:
            MachineError: the file cannot be written.
        """
        from lrbench.report.html import compare_page

        page = compare_page(self, self.manifest, self.code)
        if path is not None:
            replace_file(Path(path), page.encode())
        return page

    def __str__(self) -> str:
        return self.sentence

    def __repr__(self) -> str:
        """The answer, the schedule ranked first, and the available attributes."""
        first = self.first
        return (
            f"Comparison: {self.sentence}\n  {ranked(first) if first else 'nothing ranked yet'}\n"
            "  .ranking .trials .epochs .best .winner .lrs .notices .code .plot() .to_html()"
        )

    def _repr_html_(self) -> str:
        from lrbench.report.html.notebook import compare_cell

        return compare_cell(self)


@named_as_in_python()
@with_keywords(COMPARE, without=("task",))
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
    progress: bool | None = None,
    **options: Any,
) -> Comparison:
    """Train under each schedule, its LR tuned on validation data, and rank them.

    The problem is a `task` (an object, a class or a `module:Task`), or `make_model`, `loss_fn`
    and re-iterable loaders, or a `dataset` and a `model`, each by name or as an object. All other
    options are those of `lrbench compare`; `optimizer`, `loss` and `augment` may be functions or
    classes, `opt` a mapping.

    Args:
        step: `step(model, batch) -> loss`, or loss and number of correct answers, instead of
            `loss_fn(model(*inputs), target)`.
        out: a folder for the run, which can then be resumed; by default nothing is kept. An
            object that cannot be imported is recorded by name only: resume with the same object.
        progress: show progress on stderr; by default on a terminal and in a notebook.

    Restores the process's random generators and thread count. Exceptions in the user's code
    propagate while the parts are tried on a first batch; later they fail the trial, with the
    reason in `trials`.

    Raises:
        UsageError: an invalid argument.
        MachineError: a missing dataset, a folder that cannot be written.
        NoLearningRate: the range test of `lr="auto"` found no LR it could defend.
    """
    import torch

    usual = torch.float32, torch.device("cpu")
    if (torch.get_default_dtype(), torch.get_default_device()) != usual:
        raise UsageError(
            "compare: torch's default dtype or device was changed",
            hint="reset them to float32 and cpu: trials in other processes would not inherit them",
        )
    if not isinstance(out, (str, PathLike, NoneType)):
        raise UsageError(f"out {out!r}: must be the path of a folder")
    if isinstance(schedules, Sized) and not len(schedules):
        raise UsageError("schedules: the list is empty", hint="leave it out for the default")
    keep = nullcontext(out) if out is not None else TemporaryDirectory(prefix="lrbench-")
    with plugins.lending(), _undisturbed(), keep as folder:
        parts = {"make_model": make_model, "train": train, "val": val}
        if any(part is not None for part in (*parts.values(), test, loss_fn, step)):
            task = _loaders_task(task, parts, loss_fn, test, step)
            if test is None:
                options.setdefault("metric", "val_accuracy")
        refuse_unknown("compare", options, map(keyword, COMPARE))
        named = from_python({**options, "task": task, "schedule": schedules}, COMPARE)
        run = Run(Path(folder))
        job = session.prepared(session.resolve(named, run), run, named)
        _warn_of_lent(job)
        with live(progress, spec=job.spec) as show:
            for event in session.carry_out(job, files=out is not None):
                show(event)
        return Comparison(
            **{field.name: getattr(event, field.name) for field in fields(Summary)},
            code=torch_lines(event, run.manifest or {}),
            manifest=run.manifest or {},
            path=None if out is None else run.path,
        )


def _warn_of_lent(job: session.Job) -> None:
    """A resumed run knows objects that cannot be imported by name only."""
    names = dict.fromkeys(own_names(job.spec.recipes, job.spec.trained))
    lent = [name for name in names if name.startswith(f"{plugins.LENT}:")]
    if lent and job.run.histories:
        warnings.warn(
            f"{job.run.path} holds trials of {', '.join(lent)}, which cannot be compared with what "
            "is passed now: pass the same objects, or choose another out",
            stacklevel=3,
        )


def _loaders_task(
    task: Any, parts: Mapping[str, Any], loss_fn: Any, test: Any, step: Any
) -> LoadersTask:
    from lrbench.tasks.loaders import LoadersTask

    missing = ", ".join(name for name, part in parts.items() if part is None)
    if missing or task is not None:
        raise UsageError(
            f"compare: loaders need {missing}" if missing else "compare: got a task and loaders",
            hint="pass make_model, loss_fn (or step), train, val and, if there is one, test; or a "
            "task; or a dataset and a model",
        )
    return LoadersTask(parts["make_model"], loss_fn, parts["train"], parts["val"], test, step=step)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Restore the process's random generators and torch's thread count, and let exceptions from the
    user's code propagate unchanged."""
    import torch

    from lrbench.tasks.randomness import random_state

    threads = torch.get_num_threads()
    try:
        with random_state():
            yield
    except plugins.OwnFault as fault:
        if not isinstance(fault.__cause__, Exception):
            raise  # a SystemExit would end the caller silently
        raise fault.__cause__ from None
    finally:
        torch.set_num_threads(threads)
