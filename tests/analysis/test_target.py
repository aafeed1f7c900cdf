import pytest

from lrbench.analysis.frames import area_under, default_target, reached
from tests.analysis.made import finals, history


def test_the_target_is_a_share_of_the_best_mean() -> None:
    trials = finals({"cosine": [0.9, 0.8], "step": [0.7, 0.7]})
    assert default_target(trials) == pytest.approx(0.99 * 0.85)


def test_only_finals_that_ended_well_set_the_target() -> None:
    trials = [
        *finals({"cosine": [0.8, None]}),
        history("step", 0.99, stage="tune"),
        history("step", 0.99, status=None),
    ]
    assert default_target(trials) == pytest.approx(0.99 * 0.8)
    assert default_target([]) is None
    assert default_target(finals({"cosine": [0.8]}, accuracy=False)) is None


@pytest.mark.parametrize(
    ("curve", "target", "expected"),
    [
        ([0.5, 0.7, 0.9], 0.8, (2.5, 5.0)),
        ([0.5, 0.7, 0.9], 0.7, (2.0, 4.0)),
        ([0.5, 0.7, 0.9], 0.4, (1.0, 2.0)),
        ([0.9, 0.7, 0.95], 0.8, (1.0, 2.0)),
        ([0.5, 0.7, 0.9], 0.91, (None, None)),
    ],
)
def test_linear_between_epochs_and_never_stays_never(
    curve: list[float], target: float, expected: tuple[float | None, float | None]
) -> None:
    epochs = history(curve=curve, epochs=3).epochs
    assert reached(epochs, target) == pytest.approx(expected)


def test_no_target_and_no_epochs() -> None:
    assert reached(history().epochs, None) == (None, None)
    assert reached((), 0.5) == (None, None)
    assert reached(history(accuracy=False).epochs, 0.5) == (None, None)


def test_the_area_is_a_height() -> None:
    assert area_under([0.5, 0.7, 0.9]) == pytest.approx(0.7)
    assert area_under([0.6]) == 0.6
    assert area_under([]) is None
    assert area_under([0.5, None]) is None
