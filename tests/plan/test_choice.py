"""The choice of the LR: what it takes, what it refuses, and the reasons that it gives."""

from collections.abc import Iterable, Mapping, Sequence

import pytest

from lrbench.plan.choice import Tuned, choose

Values = Mapping[str, Sequence[Sequence[float | None]]]
# Seed by seed at five LRs, as in a run on MNIST: the best mean stands on the brink.
BRINK: Values = {
    "cosine": [[98.4, 98.7, 99.0, 99.2, 99.3], [98.4, 98.8, 99.1, 99.2, 99.4]],
    "step": [[98.1, 98.6, 99.0, 99.1, 10.0], [98.1, 98.5, 98.9, 99.1, 99.0]],
    "onecycle": [[98.3, 98.7, 99.0, 99.2, None], [98.3, 98.6, 98.9, 99.2, 99.1]],
}
NEAR: Values = {"a": [[97.0, 98.0, 98.05], [97.1, 98.2, 98.25]]}
OUTVOTED: Values = {
    "constant": [[98.0, 98.72, 98.69], [98.2, 98.82, 98.79]],
    "linear": [[97.5, 98.50, 99.00], [97.6, 98.60, 99.10]],
    "cosine": [[97.5, 98.50, 99.00], [97.6, 98.60, 99.10]],
}
DECAYING = [[0.080, 0.050, 0.040], [0.081, 0.051, 0.041]]
OWN = {"constant": [[0.060, 0.040, 0.047], [0.061, 0.041, 0.048]]}


def tuned(values: Values, losses: Values | None = None) -> Iterable[Tuned]:
    for schedule, seeds in values.items():
        for seed, row in enumerate(seeds):
            for place, value in enumerate(row):
                loss = losses[schedule][seed][place] if losses else None
                yield Tuned(schedule, place, 0.01 * 2**place, seed, value, loss)


@pytest.mark.parametrize(
    ("values", "losses", "chance", "places"),
    [
        # clear evidence sends schedules to LRs of their own
        ({"a": [[98.0, 97.0, 95.0], [98.1, 97.1, 95.1]],
          "b": [[95.0, 97.0, 98.0], [95.1, 97.1, 98.1]]}, None, 10.0, {"a": 0, "b": 2}),
        # near-ties go to the lower loss
        (NEAR, {"a": [[0.4, 0.1, 0.3]] * 2}, 10.0, {"a": 1}),
        (NEAR, {"a": [[0.4, 0.3, 0.1]] * 2}, 10.0, {"a": 2}),
        # and without losses to what suits all; but a clear loss is not outvoted
        (OUTVOTED, None, 10.0, {"constant": 2, "linear": 2, "cosine": 2}),
        (OUTVOTED, {**OWN, "linear": DECAYING, "cosine": DECAYING}, 10.0,
         {"constant": 1, "linear": 2, "cosine": 2}),
        # a loss is chosen by as a negative value
        ({"a": [[-2.0, -1.0, -2.3]], "b": [[-2.0, -1.1, -2.3]]}, None, -2.3, {"a": 1, "b": 1}),
        (BRINK, None, 10.0, {"cosine": 3, "step": 3, "onecycle": 3}),
    ],
)  # fmt: skip
def test_what_is_taken(
    values: Values, losses: Values | None, chance: float, places: Mapping[str, int]
) -> None:
    trials = list(tuned(values, losses))
    for order in (trials, trials[::-1]):
        found = choose(order, chance)
        assert {name: each.place for name, each in found.items()} == places


def test_low_values_of_too_small_lrs_are_no_collapses() -> None:
    values: Values = {"cosine": [[10.0, 30.0, 90.0, 95.0, 10.0], [10.0, 35.0, 91.0, 94.0, 11.0]]}
    choice = choose(tuned(values), 10.0)["cosine"]
    assert [each.collapsed for each in choice.candidates] == [0, 0, 0, 0, 2]
    assert choice.place == 3 and choice.candidates[0].risk == 0


def test_noise_sends_two_names_of_one_schedule_to_one_lr() -> None:
    values: Values = {
        "a": [[97.0, 98.2, 98.0, 97.0], [97.0, 98.0, 98.1, 97.0]],
        "b": [[97.0, 98.0, 98.3, 97.0], [97.0, 98.1, 98.0, 97.0]],
    }
    chosen = choose(tuned(values), 10.0)
    assert chosen["a"].best_by_mean != chosen["b"].best_by_mean
    assert chosen["a"].lr == chosen["b"].lr
    assert chosen["a"].own_weight < 0.2
    curves = [[each.curve for each in chosen[name].candidates] for name in "ab"]
    assert abs(curves[0][1] - curves[1][1]) < abs(98.1 - 98.05)


def test_risk_never_falls_as_the_lr_rises() -> None:
    values: Values = {
        "a": [[98.0, None, 98.0, None], [98.0, 98.0, 98.0, None]],
        "b": [[98.0, 98.0, 98.0, 98.0], [98.0, 98.0, 98.0, None]],
    }
    risks = [each.risk for each in choose(tuned(values), 10.0)["b"].candidates]
    assert risks == sorted(risks) and risks[0] == 0


def test_without_a_trial_that_ended_well_the_smallest_lr_is_named_as_such() -> None:
    choice = choose(tuned({"a": [[None, None]], "b": [[90.0, None]]}), 10.0)["a"]
    assert choice.lr == 0.01 and "no trial ended well" in choice.reason
