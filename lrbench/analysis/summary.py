"""Everything a report says about a comparison, as one frozen value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pandas import DataFrame

from lrbench.analysis import words
from lrbench.analysis.decay import decays_frame, decays_text
from lrbench.analysis.diagnosis import diagnosis_frame
from lrbench.analysis.frames import (
    default_target,
    epochs_frame,
    in_order,
    steps_frame,
    trials_frame,
)
from lrbench.analysis.noise import noise_frame, noise_text
from lrbench.analysis.notices import next_step, notices_of, warnings_of, wider
from lrbench.analysis.question import MetricName, Question
from lrbench.analysis.ranking import ranking_frame
from lrbench.analysis.reference import against_reference
from lrbench.analysis.scaling import Law, law_lines, laws_of, scaling_frame
from lrbench.analysis.sensitivity import sensitivity_frame
from lrbench.analysis.standing import Standing, standings
from lrbench.analysis.studies import studies_frame, studies_text
from lrbench.analysis.variants import variants_text
from lrbench.errors import Notice, Topic
from lrbench.records import History


@dataclass(frozen=True, eq=False)
class Summary:
    """The frames behind the run's files, its standings, and what follows from them.

    The first standing, of the largest budget at the smallest batch, gives the answer. `reference`
    is empty without a reference, `noise` with several schedules, `studies` with one, `decays` with
    one weight decay, `laws` and their table `scaling` with one size, `diagnosis` without findings.
    """

    question: Question
    target_accuracy: float | None
    standings: tuple[Standing, ...]
    laws: tuple[Law, ...]
    trials: DataFrame
    epochs: DataFrame
    steps: DataFrame
    ranking: DataFrame
    sensitivity: DataFrame
    scaling: DataFrame
    reference: DataFrame
    noise: DataFrame
    studies: DataFrame
    decays: DataFrame
    diagnosis: DataFrame

    @property
    def first(self) -> Standing | None:
        return self.standings[0] if self.standings else None

    @property
    def metric(self) -> MetricName:
        """The metric that ranks: the question's, or the loss if the task has no accuracy."""
        return self.first.metric if self.first else self.question.metric

    @property
    def best(self) -> str | None:
        """The schedule that ranks first; None before any final trial ended well."""
        return self.first.best if self.first else None

    @property
    def winner(self) -> str | None:
        """The schedule found better than every other."""
        return self.first.winner if self.first else None

    @property
    def chosen(self) -> Mapping[str, float]:
        """The LR of each schedule's final trials."""
        if self.first is None:
            return {}
        return dict(zip(self.first.names, self.first.lrs.tolist(), strict=True))

    @cached_property
    def sentence(self) -> str:
        """The answer, as a decision."""
        more = words.against(self.reference, self.first) if self.first else ""
        beyond = any(notice.topic is Topic.EDGE_OF_GRID for notice in self.notices)
        return words.sentence(self.standings, more, beyond=beyond)

    @cached_property
    def certainty(self) -> str:
        """How sure the answer of the first standing is; then, on separate lines, how the best LRs
        move with the size."""
        if self.first is None:
            return ""
        tuned = bool((self.trials["stage"] == "tune").any())
        place = words.where(self.first, self.standings)
        parts = [
            words.certainty(self.first, self.question.studies, tuned),
            noise_text(self.noise, self.first),
            studies_text(self.studies, self.first, tuned),
            decays_text(self.decays, self.first),
            variants_text(self.first),
        ]
        said = " ".join(filter(None, parts))
        if place and said:
            said = f"{place.capitalize()}: {said}"
        laws = law_lines(self.laws, self.first.names, self.question.confidence)
        return "\n".join(filter(None, [said, *laws]))

    @cached_property
    def notices(self) -> tuple[Notice, ...]:
        """All warnings."""
        found = notices_of(self.standings, self.trials, self.question)
        return tuple(dict.fromkeys((*self.question.notices, *found)))

    @property
    def warnings(self) -> tuple[Notice, ...]:
        """The few warnings shown to people, without what the sentence already says."""
        said = self.first and f"{self.first.edges[0]}est of its grid" in self.sentence
        remedy = wider(self.first, self.notices) if self.first and said else ""
        return warnings_of(n for n in self.notices if not remedy or n.remedy != remedy)

    @property
    def next_step(self) -> str:
        """The next thing to do; empty if nothing is left to do."""
        return next_step(self.standings, self.notices)

    @property
    def failed_finals(self) -> int:
        """Final trials that diverged or failed."""
        finals = self.trials[self.trials["stage"] == "final"]
        return int(finals["status"].isin(["diverged", "failed"]).sum())


def summarise(histories: Iterable[History], question: Question) -> Summary:
    """Summarise the trials so far; works at any point of a run, before the first trial included."""
    ordered = in_order(histories, question)
    target = question.target_accuracy or default_target(ordered)
    trials = trials_frame(ordered, target)
    found = tuple(standings(trials, question))
    laws = laws_of(trials, question)
    return Summary(
        question=question,
        target_accuracy=target,
        standings=found,
        laws=laws,
        trials=trials,
        epochs=epochs_frame(ordered),
        steps=steps_frame(ordered),
        ranking=ranking_frame(found, trials, question),
        sensitivity=sensitivity_frame(trials, question),
        scaling=scaling_frame(laws),
        reference=against_reference(found, question),
        noise=noise_frame(found, question.alpha),
        studies=studies_frame(found, trials, question),
        decays=decays_frame(found, trials),
        diagnosis=diagnosis_frame(ordered),
    )
