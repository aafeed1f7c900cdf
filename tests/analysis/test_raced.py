"""A race as a plan: which trials it asks for, and that neither stops nor kills change that."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from lrbench.analysis import Question, raced, spending, summarise
from lrbench.options import CompareSpec, TrialSpec
from lrbench.plan import plan
from lrbench.records import History
from tests.plan.test_plan import STEPS, Score, trained

NAMES = ("constant", "cosine", "linear")
LOSS = {"constant": 0.05, "cosine": 0.0, "linear": 0.001, "step": 0.02}


def spec(**changes: object) -> CompareSpec:
    fields = {"schedules": NAMES, "lrs": (0.1,), "epochs": 2, "race": True, "most_seeds": 12}
    return CompareSpec(**{**fields, **changes})  # type: ignore[arg-type]


def asked(spec: CompareSpec) -> Question:
    return Question(
        spec.entrants, reference=spec.reference, looks=spending(spec.looks, race=True),
        test_size=1000, classes=10, studies=spec.studies,
    )  # fmt: skip


def score(trial: TrialSpec) -> float | None:
    chance = random.Random(f"{trial.name} {trial.seed} {trial.epochs}").gauss(0, 0.004)
    return 0.95 - LOSS[trial.name] + chance


def follow(
    spec: CompareSpec, score: Score = score, known: dict[str, History] | None = None,
    stop_after: int = 10**6,
) -> dict[str, History]:  # fmt: skip
    """Train what the race asks for, to its end or until it is killed."""
    known = dict(known or {})
    while True:
        next_ = raced(plan(spec, known, {}, STEPS), known, asked(spec))
        for trial in next_.trials:
            if stop_after == len(known):
                return known
            known[trial.id] = trained(trial, score(trial))
        if next_.stage == "done":
            return known


def seeds(known: dict[str, History], *, epochs: int = 2, study: int | None = None) -> Counter[str]:
    specs = [history.spec for history in known.values()]
    return Counter(t.name for t in specs if t.epochs == epochs and t.study == study)


def test_who_is_behind_trains_no_further_and_equals_race_to_the_end() -> None:
    known = follow(spec())
    assert seeds(known) == {"constant": 5, "cosine": 12, "linear": 12}
    summary = summarise(known.values(), asked(spec()))
    said = "(12 seeds, look 3 of 3; constant stopped at 5; 29 of 36 trainings; error rate 5 % over"
    assert f"{said} all pairs and looks)" in summary.sentence
    assert "better than constant" in summary.sentence and not summary.notices
    assert summary.next_step == ""


def test_by_a_loss_those_with_the_higher_one_leave() -> None:
    known, asks = dict[str, History](), replace(asked(spec()), metric="val_loss")
    while left := raced(plan(spec(), known, {}, STEPS), known, asks).trials:
        known |= {t.id: trained(t, 0.5, 1 - (score(t) or 0)) for t in left}
    assert seeds(known) == {"constant": 5, "cosine": 12, "linear": 12}


def test_neither_a_kill_nor_another_order_of_the_trials_changes_the_race() -> None:
    whole = follow(spec())
    some = random.Random(1).sample(sorted(whole), 11)
    assert follow(spec(), known={key: whole[key] for key in some}).keys() == whole.keys()
    for stop_after in range(0, len(whole), 4):
        part = follow(spec(), stop_after=stop_after)
        assert len(part) == stop_after
        assert follow(spec(), known=part).keys() == whole.keys()
        assert "look 3" not in summarise(part.values(), asked(spec())).sentence


def test_a_look_waits_for_every_schedule() -> None:
    """Even for one of which nothing has ended yet."""
    whole = follow(spec())
    some = {key: h for key, h in whole.items() if h.spec.name != "constant" and h.spec.seed < 5}
    left = raced(plan(spec(), some, {}, STEPS), some, asked(spec())).trials
    assert [(trial.name, trial.seed) for trial in left] == [("constant", n) for n in range(5)]


def test_between_looks_nothing_new_is_claimed_and_the_rest_is_asked_for() -> None:
    part = follow(spec(), stop_after=18)
    summary = summarise(part.values(), asked(spec()))
    assert "look 1 of 3" in summary.sentence
    assert "its next look is after 7 seeds" in str(summary.notices[0])
    assert summary.next_step == "train the rest with the same command"
    early = summarise(follow(spec(), stop_after=9).values(), asked(spec()))
    assert "they are compared after 5 seeds each" in early.sentence


def test_each_ranking_is_a_race_of_its_own() -> None:
    def level(trial: TrialSpec) -> float | None:
        return 0.9 + 0.001 * (trial.seed % 3) if trial.epochs == 1 else score(trial)

    known = follow(spec(budgets=(1, 2), studies=2), level)
    assert seeds(known) == {"constant": 5, "cosine": 12, "linear": 12}
    assert set(seeds(known, epochs=1).values()) == {5}  # equal in every seed
    assert seeds(known, study=1)["constant"] == 5


def test_with_a_reference_all_race_against_it_alone() -> None:
    known = follow(spec(reference="constant"))
    assert set(seeds(known).values()) == {5}
    summary = summarise(known.values(), asked(spec(reference="constant")))
    assert summary.standings[0].verdicts.tests == 2
    assert summary.reference["verdict"].tolist() == ["better", "better"]
    told = summary.standings[0].verdicts
    levels = summary.reference.set_index("schedule")["p_adjusted"]
    place = summary.standings[0].names.index
    for name, p in levels.items():
        assert p == pytest.approx(told.adjusted[place(str(name)), place("constant")])
    middle = follow(spec(reference="linear"))
    assert seeds(middle) == {"constant": 5, "cosine": 12, "linear": 12}


@pytest.mark.parametrize("value", [None, 0.1])
def test_one_that_never_ends_well_leaves_without_a_claim(value: float | None) -> None:
    """And if it is the reference, nobody is left to be told apart from."""
    for reference, left in ((None, 12), ("constant", 5)):
        asks = spec(reference=reference)
        known = follow(asks, lambda t: value if t.name == "constant" else score(t))
        assert seeds(known) == {"constant": 5, "cosine": left, "linear": left}
        standing = summarise(known.values(), asked(asks)).standings[0]
        assert standing.lost.sum() == 5 and not standing.verdicts.better.any()


def test_a_schedule_that_joins_later_is_given_the_looks_of_the_others() -> None:
    before = follow(spec(schedules=NAMES))
    grown = spec(schedules=(*NAMES, "step"))
    after = follow(grown, known=before)
    assert seeds(after)["step"] == 5 and seeds(after)["constant"] == 5


def test_a_race_that_is_not_one_is_the_plan() -> None:
    fixed = spec(race=False, most_seeds=None, seeds=3)
    whole = plan(fixed, {}, {}, STEPS)
    assert raced(whole, {}, replace(asked(spec()), looks=None)) is whole
    assert len(whole.trials) == 9
