"""What a reader of a comparison should be warned of, and the one thing to do next."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
import pandas as pd
from pandas import DataFrame

from lrbench.analysis.evidence import seeds_range
from lrbench.analysis.names import is_schedule, short
from lrbench.analysis.question import Question, is_accuracy
from lrbench.analysis.standing import Standing, at_final_decay
from lrbench.analysis.words import TOO_WIDE, listed, losses, where
from lrbench.errors import Notice, Topic

NOISY = 1.1
LUCKY = 0.5  # of the error in tuning: by how much more the finals err
BEYOND = 3  # standard errors, or images: more than chance, although the best of several was taken
MOST_WARNINGS = 3
MOST_SEEDS = 50  # worth training to tell two schedules apart
WIDEST = 15.0  # a wider range of seeds is no advice
EARLY = 100  # steps: after fewer, an accuracy at chance may only mean that nothing is learnt yet
FIRST = (
    Topic.SHARD,
    Topic.TRIALS_FAILED,
    Topic.TOO_SHORT,
    Topic.FEW_SEEDS,
    Topic.LUCKY_LR,
    Topic.EDGE_OF_GRID,
)


def warnings_of(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    """The few that matter most, those that ask for the same thing made one."""

    def rank(notice: Notice) -> tuple[int, str]:
        place = FIRST.index(notice.topic) if notice.topic in FIRST else len(FIRST)
        return place, notice.remedy

    merged = []
    for (_, remedy), same in groupby(sorted(notices, key=rank), rank):
        alike = list(same)
        messages = list(dict.fromkeys(notice.message for notice in alike))
        shown = messages[:MOST_WARNINGS]
        shown += [f"{len(messages) - len(shown)} more like these"] * (len(messages) > len(shown))
        merged += alike if not remedy else [Notice(alike[0].topic, "; ".join(shown), remedy)]
    return tuple(merged[:MOST_WARNINGS])


def notices_of(
    found: Sequence[Standing], trials: DataFrame, question: Question
) -> Iterator[Notice]:
    for standing in found:
        yield from _seeds(standing, question)
        if standing.lost.any():
            early = _too_early(standing)
            yield Notice(
                Topic.TOO_SHORT if early else Topic.TRIALS_FAILED,
                f"{losses(standing)}; they enter no mean and no test",
                f"{early} steps were too few to learn anything: train longer (--epochs)"
                if early
                else "another LR or a longer warm-up may help; trials.csv says where each ended",
            )
        yield from _lucky_lrs(standing, trials, question, where(standing, found))
    yield from _throughput(found)
    if found and found[0].metric != question.metric and "balanced" in question.metric:
        yield Notice(
            Topic.OTHER,
            f"ranked by {found[0].metric}: this task does not measure {question.metric}",
        )


def _seeds(standing: Standing, question: Question) -> Iterator[Notice]:
    counts, course = standing.counts + standing.lost, standing.verdicts.race
    least, most = int(counts.min()), int(counts.max())
    if course is not None and course.looks.race:
        if course.next_seeds is not None:
            yield Notice(
                Topic.FEW_SEEDS,
                f"the race goes on: its next look is after {course.next_seeds} seeds",
                "the same command trains the rest",
            )
        return
    if most < 2 and len(standing.names) > 1:
        yield Notice(
            Topic.FEW_SEEDS,
            "one seed cannot show a difference between schedules, whatever its size",
            "--seeds 5 extends this run",
        )
    elif least < most:
        yield Notice(
            Topic.FEW_SEEDS,
            f"the schedules have from {least} to {most} final seeds",
            "differences are over the seeds that both have; the same command trains the rest",
        )
    elif question.seeds is not None and most < question.seeds:
        yield Notice(
            Topic.FEW_SEEDS,
            f"{most} of {question.seeds} final seeds are done",
            "the same command trains the rest",
        )


def _too_early(standing: Standing) -> int:
    """The steps of a run whose trainings at chance have simply not learnt yet: they are few, and
    no loss rose above where it began. 0 where a training failed or had the time to learn."""
    if standing.failed.any():
        return 0
    ended = pd.concat(standing.finals)
    steps = int(ended["steps"].max())
    rose = (ended["val_loss"] > ended["start_loss"]).any()
    return steps if steps < EARLY and not rose else 0


def _throughput(found: Sequence[Standing]) -> Iterator[Notice]:
    """Said once, of the ranking in which it differs most."""
    ratio = 1.0
    for standing in found:
        entered = zip(standing.names, standing.finals, strict=True)
        speeds = [finals["throughput_img_s"] for name, finals in entered if is_schedule(name)]
        medians = [each.median() for each in speeds if each.count() > 1]
        if medians and min(medians) > 0:
            ratio = max(ratio, max(medians) / min(medians))
    if ratio > NOISY:
        yield Notice(
            Topic.NOISY_THROUGHPUT,
            f"throughput differs by {100 * (ratio - 1):.0f} % between "
            "schedules, although they do not change the cost of a step",
            "something else used this machine, so do not compare seconds",
        )


def _lucky_lrs(
    standing: Standing, trials: DataFrame, question: Question, place: str
) -> Iterator[Notice]:
    """Learning rates that erred half as much again over the final seeds as on the tuning seeds, and
    more than seeds and images do by chance."""
    images = question.val_size or 1000
    here = standing.part(trials)
    for name, lr, finals in zip(standing.names, standing.lrs, standing.finals, strict=True):
        mine = here[(here["stage"] == "tune") & (here["schedule"] == name) & (here["lr"] == lr)]
        tuned, reached = at_final_decay(mine, finals), finals["val_accuracy"]
        hoped, found = tuned["val_accuracy"].mean(), reached.mean()
        binomial = math.sqrt(found * (1 - found) / images)  # a brink spreads the seeds wider
        trainings = 1 / max(1, len(tuned)) + 1 / len(finals)
        chance = max(np.fmin(reached.std(), binomial) * math.sqrt(trainings), 1 / images)
        if hoped - found > max(LUCKY * (1 - hoped), BEYOND * chance):
            fewer = ""
            if question.val_size:
                fewer = f", {images * (hoped - found):.0f} of {images:,} validation images fewer"
            yield Notice(
                Topic.LUCKY_LR,
                f"{place + ': ' if place else ''}LR {lr:g} gave {short(name, 40)} "
                f"{100 * hoped:.1f} % in tuning and {100 * found:.1f} % over the final seeds"
                f"{fewer}",
                "it may be close to where training breaks down: train longer (--epochs), or tune "
                "over more --tuning-seeds",
            )


def next_step(found: Sequence[Standing], notices: Sequence[Notice]) -> str:
    """The one thing to do that fits what was found; empty where nothing is left to be done."""
    for notice in notices:
        if notice.topic is Topic.SHARD:
            return notice.remedy
    if not found:
        return ""
    if any(notice.topic is Topic.TOO_SHORT for notice in notices):
        return "train longer (--epochs): some trainings had not learnt anything yet"
    if found[0].best is None:
        return "take smaller LRs (--lr), or run lrbench find: no final training ended well"
    standing, topics = found[0], {notice.topic for notice in notices}
    if Topic.FEW_SEEDS in topics:
        most = int((standing.counts + standing.lost).max())
        few = most < 2 and standing.verdicts.race is None
        return "name 5 seeds: --seeds 5" if few else "train the rest with the same command"
    place = f"{where(standing, found)}: " if len(found) > 1 else ""
    lucky = [n.message for n in notices if n.topic is Topic.LUCKY_LR]
    if standing.lost.any() or any(message.startswith(place) for message in lucky):
        return (
            "train longer (--epochs) or tune over more seeds (--tuning-seeds): tuning is unstable"
        )
    if remedy := wider(standing, notices):
        return f"{remedy}, before anything is concluded"
    once = standing.verdicts.race is None
    return _more_seeds(standing) if once and standing.winner is None else ""


def wider(standing: Standing, notices: Sequence[Notice]) -> str:
    """How to widen the grid on the side where the LR of the best lies; empty where it cannot be:
    without a notice, what lies beyond is not stable."""
    best = (standing.names[0], standing.edges[0])
    return next((notice.remedy for notice in notices if best in notice.edges), "")


def _more_seeds(standing: Standing) -> str:
    """Where a difference to the best is nearly found. Adding seeds to this run would be a second
    look at the same data, which the p-values do not count; so it is a new run."""
    pairs = standing.verdicts.pairs
    for place in range(len(standing.names) - 1, 0, -1):
        if standing.verdicts.better[0, place] or not pairs.sd[0, place] > 0:
            continue
        mean, sd, n = (float(part[0, place]) for part in (pairs.mean, pairs.sd, pairs.n))
        wanted = seeds_range(mean, sd, int(n), standing.verdicts.level)
        if wanted is None or wanted[0] > MOST_SEEDS or wanted[1] is None:
            continue
        if wanted[1] > WIDEST * wanted[0]:
            continue
        names = listed([short(standing.names[i], 40) for i in (0, place)])
        low = max(wanted[0], int(n) + 1)
        high = max(wanted[1], low)
        span = str(low) if low == high else f"{low} to {high}"
        seeds = low if high > MOST_SEEDS else high
        return f"a new run with --seeds {seeds} may tell {names} apart (it takes {span} seeds)"
    apart = standing.verdicts.intervals.within[0][~standing.verdicts.better[0]]
    apart = apart[np.isfinite(apart)]
    if is_accuracy(standing.metric) and len(apart) and apart.max() <= TOO_WIDE:
        return "take the simplest: they may be equal, and no number of seeds is sure to tell"
    return ""
