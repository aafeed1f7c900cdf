"""The final trials a race needs: those up to its next look, of the schedules still in it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from lrbench.analysis.frames import trials_frame
from lrbench.analysis.question import Question
from lrbench.analysis.standing import standings
from lrbench.plan import Plan, missing
from lrbench.records import History, labelled

Key = tuple[str, int, int, int | None]


def raced(settled: Plan, histories: Mapping[str, History], question: Question) -> Plan:
    """A plan with all final trials up to the last look, cut down to those needed after the looks so
    far. Pure, so that a resumed race continues as it would have."""
    if settled.stage not in ("final", "done") or question.looks is None:
        return settled
    wanted, planned, finals = _wanted(settled, histories, question), Counter[Key](), []
    for trial in settled.finals:
        key = (trial.name, trial.epochs, trial.batch_size, trial.study)
        planned[key] += 1
        if planned[key] <= wanted.get(key, question.looks.seeds[0]):
            finals.append(trial)
    left = missing(finals, histories)
    return replace(settled, stage="final" if left else "done", trials=left, finals=tuple(finals))


def _wanted(settled: Plan, histories: Mapping[str, History], question: Question) -> dict[Key, int]:
    """How many final seeds each schedule of each ranking needs; each ranking is a separate race."""
    trials = trials_frame(labelled(settled.finals, histories), None)
    return {
        (name, standing.budget, standing.batch_size, study or None): int(count)
        for study in range(question.studies)
        for standing in standings(trials, question, study)
        if standing.verdicts.race is not None
        for name, count in zip(standing.names, standing.verdicts.race.wanted, strict=True)
    }
