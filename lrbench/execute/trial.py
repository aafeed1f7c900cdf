"""Runs one trial, new or resumed, and writes its records to the run directory as they come. Or runs
one training of a range test, which writes nothing."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lrbench.engine import checkpoint
from lrbench.engine.device import check_device
from lrbench.engine.graphs.program import Program, why_eager
from lrbench.engine.train import Training, begin, train
from lrbench.errors import STOPS, LrbenchError, MachineError
from lrbench.execute.workbench import Workbench
from lrbench.options import TrialSpec
from lrbench.plugins import OwnFault, described, place_of
from lrbench.rangetest.training import Piece, carry_out
from lrbench.records import EpochRecord, Record, TrialEnd
from lrbench.run.store import Run
from lrbench.tasks.base import Task

CHECKPOINT_S = 10.0


def run_piece(bench: Workbench, piece: Piece) -> Iterator[list[Any]]:
    try:
        yield from carry_out(bench.setup(piece.find), piece)
    except (LrbenchError, *STOPS):
        raise
    except BaseException as fault:  # the model's own code may raise anything
        check_device(bench.device)
        raise OwnFault(f"range test: {described(fault)}") from fault


def run_trial(bench: Workbench, run: Run, trial: TrialSpec) -> Iterator[list[Record]]:
    """Train a trial to its end. Yields an empty list, then the records of each epoch once they are
    on disk. A trial in progress continues from its checkpoint.

    If the model or the optimizer raises an exception, the trial fails, with that as its reason.

    Raises:
        MachineError: a fault that affects every trial, such as a full disk.
    """
    yield []
    try:
        here = bench.at(trial.recipe)
        task = here.final_task if trial.stage == "final" else here.tuning_task
        training = _opened(task, run, trial)
        program = _program(here, training)
        by, why = (program.train, "") if isinstance(program, Program) else (train, program)
        machine = {**bench.machine, **({"eager": why} if why else {})}
        records = by(task, training, record_steps=bench.host.record_steps)
        yield from _recorded(machine, run, training, records)
    except (MachineError, *STOPS):
        raise
    except BaseException as fault:  # the model's own code may raise anything
        yield [run.conclude(trial, bench.failed_end(trial, _reason(fault)))]
        del fault  # and its frames, which hold the model
        check_device(bench.device)
    run.state_path(trial.id).unlink(missing_ok=True)


def _reason(fault: BaseException) -> str:
    """A fault in one line: our own by its message, others with their type and place."""
    if isinstance(fault, LrbenchError):
        return fault.message
    words = "".join(str(fault).strip().splitlines()[:1])[:400]
    return f"{type(fault).__name__}: {words}{place_of(fault)}"


def _opened(task: Task, run: Run, trial: TrialSpec) -> Training:
    """The training, resumed from its checkpoint or new. The journal is cut back to the checkpoint;
    a checkpoint that is ahead of the journal is not trusted."""
    state = run.state_path(trial.id)
    if state.exists():
        training = begin(task, trial)
        if checkpoint.restore(training, state) and run.rewind(trial, training.epochs_done):
            return training
    run.begin(trial)
    return begin(task, trial)


def _program(here: Workbench, training: Training) -> Program | str:
    """The program of the trial's recipe, or why it is not used; empty without `--graph`."""
    if not here.host.graph:
        return ""
    program = here.program
    return program if isinstance(program, str) else why_eager(training) or program


def _recorded(
    machine: Mapping[str, Any], run: Run, training: Training, records: Iterator[Record]
) -> Iterator[list[Record]]:
    """Write each epoch's records, then a checkpoint if another epoch like this one would put more
    than `CHECKPOINT_S` of training at risk."""
    trial = training.trial.id
    kept: list[Record] = []
    saved = ended = time.monotonic()
    for record in records:
        if isinstance(record, TrialEnd):
            record = replace(record, machine=machine)
        kept.append(record)
        if not isinstance(record, (EpochRecord, TrialEnd)):
            continue
        run.append(trial, kept)
        before, ended = ended, time.monotonic()
        if isinstance(record, EpochRecord) and 2 * ended - before - saved > CHECKPOINT_S:
            checkpoint.save(training, run.state_path(trial))
            saved = ended
        yield kept
        kept = []
