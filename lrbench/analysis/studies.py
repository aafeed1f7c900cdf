"""The same comparison repeated with its own tuning and seeds: how well the answer carries over.

The spread over repeated tunings is often as large as that over seeds, and no interval over the
seeds of one study covers it (Bouthillier et al. 2021, arXiv:2103.03098).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pandas import DataFrame

from lrbench.analysis.amounts import amount, margin
from lrbench.analysis.names import short
from lrbench.analysis.question import Question
from lrbench.analysis.standing import Standing, standings
from lrbench.analysis.tidy import BATCH_SIZE, BUDGET, SCHEDULE, Column, frame
from lrbench.analysis.words import MOST_NAMED, listed

STUDIES = (
    Column("study", "int64", "0 is the first"),
    SCHEDULE,
    BUDGET,
    BATCH_SIZE,
    Column("lr", "float64", "learning rate tuned in this study"),
    Column("n", "int64", "final seeds that ended well"),
    Column("place", "int64", "place in this study's ranking"),
    Column("metric_mean", "float64", "mean of the metric over this study's seeds"),
    Column("gain", "float64", "by how much the first study's best schedule beats it here"),
    Column("better", "bool", "whether that schedule is found better here"),
)


def studies_frame(found: Sequence[Standing], trials: DataFrame, question: Question) -> DataFrame:
    """A row for each study and schedule; empty with one study."""
    return frame(_rows(found, trials, question), STUDIES)


def _rows(
    found: Sequence[Standing], trials: DataFrame, question: Question
) -> Iterator[dict[str, Any]]:
    first = {(each.budget, each.batch_size): each.names[0] for each in found}
    studies = range(question.studies if question.studies > 1 else 0)
    for study, standing in ((n, each) for n in studies for each in standings(trials, question, n)):
        best = first.get((standing.budget, standing.batch_size))
        at = standing.names.index(best) if best in standing.names else None
        for place, name in enumerate(standing.names):
            yield {
                **standing.cell,
                "study": study,
                "schedule": name,
                "lr": standing.lrs[place],
                "n": standing.counts[place],
                "place": place + 1,
                "metric_mean": np.nanmean(standing.values[:, place]),
                "gain": np.nan if at is None else standing.verdicts.gains[at, place],
                "better": at is not None and standing.verdicts.better[at, place],
            }


def studies_text(studies: DataFrame, standing: Standing, tuned: bool = True) -> str:
    """How often the answer of a standing holds over the studies, and how far its numbers spread;
    empty with one study."""
    here = (studies["budget"] == standing.budget) & (studies["batch_size"] == standing.batch_size)
    mine = studies[here]
    count = mine["study"].nunique()
    if count < 2:
        return ""
    best, each_with = standing.names[0], f"each with its own {'tuning and ' * tuned}seeds"
    rows = mine[mine["schedule"] == best]
    told = {
        study: frozenset(each.loc[each["better"], "schedule"])
        for study, each in mine.groupby("study")
    }
    first = set(rows.loc[rows["place"] == 1, "study"])
    same = sum(study in first and told[study] == told[0] for study in told)
    low, high = rows["lr"].min(), rows["lr"].max()
    lrs = f"LR {low:.3g}" if low == high else f"LRs from {low:.3g} to {high:.3g}"
    if len(standing.names) == 1:
        means = (amount(end, standing.metric) for end in rows["metric_mean"].agg(["min", "max"]))
        reached = " to ".join(dict.fromkeys(means))
        return f"In {count} studies, {each_with}, {short(best)} reached {reached} at {lrs}."
    parts = [f"{short(best)} ranks first in {len(first)}, at {lrs},"]
    rivals = [name for name in standing.names[1:] if name in told[0]] or standing.names[1:2]
    for name in rivals[:MOST_NAMED]:
        theirs = mine[mine["schedule"] == name]
        gains = [margin(gain, None, standing.metric) for gain in sorted(theirs["gain"].dropna())]
        if not gains:  # no common seed, as in one of several shards
            continue
        ends = gains[0] if gains[0] == gains[-1] else f"{gains[0].split()[0]} to {gains[-1]}"
        times = int(theirs["better"].sum()) or "none"
        parts.append(f"is found better than {short(name)} in {times} (ahead by {ends})")
    alike = f"{same} say the same" if same > 1 else "only the first says this"
    return f"Of {count} studies, {each_with}, {alike}: {listed(parts)}."
