"""A range test as a library: read the answer from its run, or run the test to get it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.errors import LrbenchError, MachineError, Notice, Topic, UsageError
from lrbench.execute import Host, Workbench
from lrbench.inputs import resolved_toml
from lrbench.options import FindSpec, differences
from lrbench.plugins import blamed
from lrbench.run.manifest import material_of
from lrbench.run.material import code_of, own_names, refuse_changes
from lrbench.run.store import Run
from lrbench.schedules import parse
from lrbench.session.checks import checked
from lrbench.session.place import command_line, lasting, run_path
from lrbench.session.size import OVERHEAD, find_steps
from lrbench.tasks.own import ignored_batch_size

if TYPE_CHECKING:
    from lrbench.rangetest.result import FindResult


def located(spec: FindSpec, out: Path | None) -> Run:
    return Run(run_path("find", spec.recipe, spec.id, out))


def prepared(
    spec: FindSpec, host: Host, progress: Callable[[int, int], None] | None = None
) -> tuple[Workbench, list[Notice]]:
    """Open the device and the data, and try the user's parts and the group to sweep. Returns any
    notices as well. `progress(done, total)` is called as images are read.

    Raises:
        UsageError: a part that cannot be trained, a group that cannot be swept alone, a schedule
            that is invalid for the training it is meant for.
        MachineError: no such device, a dataset that is missing or damaged.
    """
    from lrbench.optimizers import build
    from lrbench.rangetest.groups import swept

    bench = Workbench(spec.recipe, host, progress)
    bench.open()
    _, groups = build(spec.recipe, bench.tuning_task.model(0), lr=1.0)
    swept(groups, spec.sweep_group)
    notices = list(ignored_batch_size(spec.recipe, bench.source.facts()))
    if spec.schedule is not None:
        steps = bench.steps_per_epoch
        notices += checked(parse(spec.schedule), spec.end_lr, spec.run_epochs * steps, steps)
        if spec.epochs is None:
            said = f"--schedule without --epochs: the LR is for {spec.run_epochs} epochs"
            notices.append(Notice(Topic.OTHER, said, "as in lrbench compare"))
    return bench, notices


def size(spec: FindSpec, bench: Workbench) -> tuple[int, int, float]:
    """Training steps of the sweeps, and of the short trainings that usually follow, and the
    estimated seconds for all of them."""
    tests = len({spec.recipe, *spec.cells})
    sweep, after = (tests * steps for steps in find_steps(spec))
    sweep *= bench.steps_per_epoch if spec.step == "epoch" else 1
    return sweep, after, OVERHEAD * (sweep + after) * bench.step_s()


def carry_out(
    spec: FindSpec, run: Run, bench: Workbench, options: Mapping[str, Any]
) -> Iterator[Any]:
    """Events of the sweep, unless the run already holds the answer; the `FindResult` last, once its
    files are written.

    Raises:
        UsageError: the run was made with another experiment, other code or other data.
        MachineError: the folder cannot be written, or another process writes there.
    """
    from lrbench.report.find_files import write_find

    code, facts = code_of([spec.recipe]), bench.facts()
    if run.manifest is not None:
        _refuse_another(spec, run.manifest, run)
        refuse_changes(run.manifest, code, facts["data"].get("digest"))
    with run.writer():
        if spec.id not in run.finds:
            own = ", ".join(own_names([spec.recipe]))
            with blamed(own, "training with") if own else nullcontext():
                for event in bench.find(spec):
                    yield event
            run.write_manifest(
                {
                    "command": "find",
                    "experiment": spec.model_dump(mode="json"),
                    "fingerprint": spec.id,
                    "options": lasting(options),
                    "command_line": command_line("find", options, run.path),
                    "toml": resolved_toml(spec, options),
                    "material": material_of(code, facts["data"]),
                    "code": code,
                    **facts,
                }
            )
            run.save_find(spec.id, event.to_dict())
        with readable(run):
            result = answer(run)
            write_find(result, run.path, run.manifest)
    yield result


def answer(run: Run) -> FindResult:
    """The answer that a run holds.

    Raises:
        UsageError: its range test did not finish.
    """
    from lrbench.rangetest.result import FindResult

    found = run.finds.get((run.manifest or {}).get("fingerprint", ""))
    if found is None:
        raise UsageError(f"{run.path}: its range test did not finish; repeat the command")
    return FindResult.from_dict(found)


@contextmanager
def readable(run: Run) -> Iterator[None]:
    """Guard against a run whose checksums are right but that does not hold a range test.

    Raises:
        MachineError: the answer could not be read, drawn or printed.
    """
    try:
        yield
    except LrbenchError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise MachineError(f"{run.path} holds a range test that cannot be read") from None


def _refuse_another(spec: FindSpec, found: Mapping[str, Any], run: Run) -> None:
    if found["command"] != "find":
        raise UsageError(f"--out {run.path}: it holds a run of lrbench {found['command']}")
    changed = differences(found["experiment"], spec.model_dump(mode="json"), FindSpec)
    if changed:
        raise UsageError(
            "this run holds a different experiment: " + ", ".join(changed),
            hint="choose another folder with --out, or repeat the old options",
        )
