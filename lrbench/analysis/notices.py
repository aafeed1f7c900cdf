"""What to warn the reader of a comparison about, and the one thing to do next."""

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
LUCKY = 0.5  # finals err by this share more than tuning did
BEYOND = 3  # standard errors, or images: beyond chance, even for the best of several
MOST_WARNINGS = 3
MOST_SEEDS = 50  # the most worth training to tell two schedules apart
WIDEST = 15.0  # a wider range of seeds is useless as advice
EARLY = 100  # steps: before that, an accuracy at chance may just be an early one
RETRY = "mend the cause, then repeat the command with --retry-failed"
FIRST = (
    Topic.SHARD,
    Topic.TRIALS_FAILED,
    Topic.TOO_SHORT,
    Topic.FEW_SEEDS,
    Topic.LUCKY_LR,
    Topic.EDGE_OF_GRID,
)


def warnings_of(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    """The few warnings that matter most; those that ask for the same thing are merged."""

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
        yield from _lost(standing)
        yield from _lucky_lrs(standing, trials, question, where(standing, found))
    yield from _throughput(found)
    if found and found[0].metric != question.metric and "balanced" in question.metric:
        missing = f"this task does not measure {question.metric}"
        yield Notice(Topic.OTHER, f"ranked by {found[0].metric}: {missing}")


def _seeds(standing: Standing, question: Question) -> Iterator[Notice]:
    counts, course = standing.counts + standing.lost, standing.verdicts.race
    least, most = int(counts.min()), int(counts.max())
    said, remedy = "", "the same command trains the rest"
    if course is not None and course.looks.race:
        if course.next_seeds is not None:
            said = f"the race continues: its next look is after {course.next_seeds} seeds"
    elif most < 2 and len(standing.names) > 1:
        said = "one seed cannot show a difference between schedules, whatever its size"
        remedy = "--seeds 5 extends this run"
    elif least < most:
        said = f"the schedules have from {least} to {most} final seeds"
        remedy = f"differences are over the seeds that both have; {remedy}"
    elif question.seeds is not None and most < question.seeds:
        said = f"{most} of {question.seeds} final seeds are done"
    if said:
        yield Notice(Topic.FEW_SEEDS, said, remedy)


def _lost(standing: Standing) -> Iterator[Notice]:
    """Warnings about lost trials. Trials at chance after few steps, with no loss above its start,
    have simply not learnt yet."""
    if not standing.lost.any():
        return
    ended = pd.concat(standing.finals)
    steps, rose = int(ended["steps"].max()), (ended["val_loss"] > ended["start_loss"]).any()
    said = f"{losses(standing)}; they are left out of means and tests"
    if reason := _failure(standing):
        yield Notice(Topic.TRIALS_FAILED, f"{said}; the first failed: {reason}", RETRY)
    elif steps < EARLY and not rose and not standing.failed.any():
        remedy = f"{steps} steps may be too few to learn anything: train longer (--epochs)"
        yield Notice(Topic.TOO_SHORT, said, remedy)
    else:
        remedy = "another LR or a longer warm-up may help; trials.csv says where each ended"
        yield Notice(Topic.TRIALS_FAILED, said, remedy)


def _failure(standing: Standing) -> str:
    """Why the first final trial failed, rather than diverged; empty if none did."""
    ended = pd.concat(standing.finals)
    return next(iter(ended.loc[ended["status"] == "failed", "reason"].dropna()), "")


def _throughput(found: Sequence[Standing]) -> Iterator[Notice]:
    """Reported once, for the ranking where throughput differs most."""
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
    """Learning rates whose error on the final seeds is half as high again as on the tuning seeds,
    beyond what seeds and images explain by chance."""
    images, here = question.val_size or 1000, standing.part(trials)
    for name, lr, finals in zip(standing.names, standing.lrs, standing.finals, strict=True):
        mine = here[(here["stage"] == "tune") & (here["schedule"] == name) & (here["lr"] == lr)]
        tuned, reached = at_final_decay(mine, finals)["val_accuracy"], finals["val_accuracy"]
        hoped, found = tuned.mean(), reached.mean()
        binomial = math.sqrt(found * (1 - found) / images)  # seeds spread more at a cliff
        trainings = 1 / max(1, len(tuned)) + 1 / len(finals)
        chance = max(np.fmin(reached.std(), binomial) * math.sqrt(trainings), 1 / images)
        if not hoped - found > max(LUCKY * (1 - hoped), BEYOND * chance):
            continue
        fewer = f", {images * (hoped - found):.0f} fewer of {images:,} validation images"
        yield Notice(
            Topic.LUCKY_LR,
            f"{place + ': ' if place else ''}LR {lr:g} gave {short(name, 40)} {100 * hoped:.1f} % "
            f"in tuning and {100 * found:.1f} % over the final seeds"
            f"{fewer if question.val_size else ''}",
            "it may be close to where training breaks down: train longer (--epochs), or tune over "
            "more --tuning-seeds",
            ((standing.budget, standing.batch_size),),
        )


def next_step(found: Sequence[Standing], notices: Sequence[Notice]) -> str:
    """The one thing to do next; empty if nothing is left to do."""
    topics = {notice.topic: notice for notice in reversed(notices)}
    if shard := topics.get(Topic.SHARD):
        return shard.remedy
    if not found:
        return ""
    standing, once = found[0], found[0].verdicts.race is None
    if Topic.TOO_SHORT in topics:
        return "train longer (--epochs): some trainings had not learnt anything yet"
    if _failure(standing):
        return RETRY
    if standing.best is None:
        return "try smaller LRs (--lr), or run lrbench find: no final training ended well"
    if Topic.FEW_SEEDS in topics:
        few = once and (standing.counts + standing.lost).max() < 2
        return "name 5 seeds: --seeds 5" if few else "train the rest with the same command"
    cell = (standing.budget, standing.batch_size)
    if standing.lost.any() or any(cell in n.about for n in notices if n.topic is Topic.LUCKY_LR):
        return (
            "train longer (--epochs) or tune over more seeds (--tuning-seeds): tuning is unstable"
        )
    if remedy := wider(standing, notices):
        return f"{remedy}, before drawing conclusions"
    return _more_seeds(standing) if once and standing.winner is None else ""


def wider(standing: Standing, notices: Sequence[Notice]) -> str:
    """How to widen the grid if the best LR is on its edge; empty if it is not, or if there is no
    notice because LRs beyond the grid are unstable."""
    best = (standing.names[0], standing.edges[0])
    return next((notice.remedy for notice in notices if best in notice.about), "")


def _more_seeds(standing: Standing) -> str:
    """Suggested if a difference from the best is almost detected. It takes a new run: adding seeds
    to this one would be a second look at the same data, which the p-values do not account for."""
    pairs, better = standing.verdicts.pairs, standing.verdicts.better[0]
    for place in range(len(standing.names) - 1, 0, -1):
        if better[place] or not pairs.sd[0, place] > 0:
            continue
        mean, sd, n = (float(part[0, place]) for part in (pairs.mean, pairs.sd, pairs.n))
        fewest, most = seeds_range(mean, sd, int(n), standing.verdicts.level) or (1, None)
        if most is None or fewest > MOST_SEEDS or most > WIDEST * fewest:
            continue
        low = max(fewest, int(n) + 1)
        high = max(most, low)
        names = listed([short(standing.names[i], 40) for i in (0, place)])
        span = str(low) if low == high else f"{low} to {high}"
        seeds = low if high > MOST_SEEDS else high
        return f"a new run with --seeds {seeds} may tell {names} apart (it takes {span} seeds)"
    apart = float(np.nanmax(standing.verdicts.intervals.within[0][~better], initial=-1.0))
    if is_accuracy(standing.metric) and 0 <= apart <= TOO_WIDE:
        return "take the simplest: they may be equal, and no number of seeds is sure to tell"
    return ""
