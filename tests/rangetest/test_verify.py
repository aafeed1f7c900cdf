import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lrbench.rangetest.probe import Probe, Prober
from lrbench.rangetest.training import Judge
from lrbench.rangetest.verify import Verification, cautious, parabola_minimum, verify
from tests.rangetest.problems import Quadratic, Task, sgd


def verified(lr: float, **changes: Any) -> Verification:
    return searched(Prober(sgd(Task(lambda: Quadratic([1.0, 0.3]), **changes)), 12), lr)


def searched(prober: Any, lr: float, highest: float = math.inf) -> Verification:
    *_, found = verify(prober, lr, (0, 1), highest)
    assert isinstance(found, Verification)
    return found


def test_a_good_suggestion_is_confirmed_and_kept() -> None:
    found = verified(1.2)
    assert found.confirmed and found.lr == 1.2
    assert found.start == pytest.approx(1.3 / 2)  # of the untouched weights
    assert dict(found.losses)[max(lr for lr, _ in found.losses)] is None  # it diverged
    assert found.seeds == (0, 1) and found.steps == 12


@pytest.mark.parametrize("lr", [0.002, 0.02, 12.0, 100.0])
@pytest.mark.parametrize("offset", [0.0, -50.0])
def test_a_poor_suggestion_is_moved_to_where_trainings_are_best(lr: float, offset: float) -> None:
    found = verified(lr, loss_of=lambda model, step: model() + offset)
    assert not found.confirmed
    assert 0.5 < found.lr < 1.95  # the limit is 2
    losses = [loss for _, loss in found.losses if loss is not None]
    assert min(losses) < offset + 0.02


def test_trainings_are_judged_by_validation_data_where_there_is_any() -> None:
    """Training goes to 0; validation data would have it stop at 0.6."""

    def either(model: Any, step: int) -> Any:
        return (model.x - 0.6).square().sum() if step == 777 else model()

    task = Task(lambda: Quadratic([1.0]), loss_of=either, val=[777])
    blind = searched(Prober(sgd(task), 12), 0.05)
    judged = searched(Prober(sgd(task), 12, Judge.of(task)), 0.05)
    assert blind.lr > 0.5 and blind.data == "training"
    assert judged.data == "validation"
    assert pytest.approx((1 - judged.lr) ** 11.5, abs=0.1) == 0.6  # of 12, the last few count
    assert judged.start == pytest.approx(0.16)


@dataclass(frozen=True)
class Told:
    """In place of trainings: what they would say, by the half decades from 1."""

    judged: Callable[[float], tuple[float, float]]
    begin: float = 2.0
    start_sd: float = 0.0
    judge: None = None

    def probe(self, lr: float, seed: int) -> Probe:
        mean, sd = self.judged(2 * math.log10(lr))
        return Probe(lr, seed, 64, mean, 1.0, mean, sd)

    def each(self, asked: Sequence[tuple[float, int]]) -> Generator[Probe, None, list[Probe]]:
        found = [self.probe(lr, seed) for lr, seed in asked]
        yield from found
        return found

    def starts(self, seeds: Sequence[int]) -> list[Probe]:
        return [Probe(0.0, seed, 64, self.begin, 0.0, self.begin, self.start_sd) for seed in seeds]


@pytest.mark.parametrize("begin", [2.0, 300.0])
def test_losses_are_told_apart_on_the_scale_of_those_near_the_best(begin: float) -> None:
    """However far the start is above them: 2.0 is better than 3.2, and no better than 2.05."""
    far = searched(Told(lambda x: (2 + 0.2 * (x - 2.5) ** 2, 0.0), begin + 2), 1.0)
    assert not far.confirmed and far.lr == pytest.approx(10**1.25, rel=0.1)
    near = searched(Told(lambda x: (1 + 0.06 * (x - 0.5) ** 2, 0.0), begin), 1.0)
    assert near.confirmed and near.lr == 1.0
    assert near.equally_good == pytest.approx((1.0, 10**0.5))


@pytest.mark.parametrize(("optimum", "off"), [(-1.25, 0.0), (1.75, 0.0), (2.2, 0.25), (3.8, 0.25)])
def test_the_answer_was_trained_and_is_next_to_the_optimum(optimum: float, off: float) -> None:
    found = searched(Told(lambda x: (1 + 0.4 * (x - optimum) ** 2, 0.0), 9.0), 1.0)
    assert not found.confirmed and found.lr in dict(found.losses)
    assert found.equally_good[0] <= found.lr <= found.equally_good[1]
    assert abs(2 * math.log10(found.lr) - optimum) <= off + 1e-9


def test_no_lr_above_the_highest_is_tried() -> None:
    found = searched(Told(lambda x: (1 + math.exp(-x), 0.0), 9.0), 1.0, 60.0)
    tried = [lr for lr, _ in found.losses]
    assert found.lr == max(tried) and 30 < max(tried) <= 60
    assert max(lr for lr, _ in searched(Told(lambda x: (1.0, 0.0)), 1.0, 0.5).losses) == 0.5


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_seeds_that_differ_as_much_are_equally_good(noise: float) -> None:
    @dataclass(frozen=True)
    class Noisy(Told):
        def probe(self, lr: float, seed: int) -> Probe:
            mean = 1 + 0.1 * abs(math.log10(lr) - 0.25) + noise * (2 * seed - 1) * (lr < 1.1)
            return Probe(lr, seed, 64, mean, 1.0, mean, 0.0)

    assert searched(Noisy(lambda x: (0.0, 0.0)), 1.0).confirmed == (noise > 0)


@pytest.mark.parametrize("loss", [2.0, 2.2])
def test_trainings_no_better_than_their_start_confirm_nothing(loss: float) -> None:
    """And where nothing changes at all, no ever smaller learning rate is tried."""
    found = searched(Told(lambda x: (loss, 0.0)), 1.0)
    assert not found.learns and not found.confirmed
    assert len(found.losses) <= (6 if loss == 2.0 else 10)


def test_a_start_is_judged_as_cautiously_as_what_follows() -> None:
    """Where other groups train at the same time, the judgements differ within every training."""
    assert searched(Told(lambda x: (1.0 + 0.01 * x * x, 0.2), 1.05, 0.2), 1.0).learns


@pytest.mark.parametrize(
    ("judged", "low", "high"),
    [
        # a second valley at large learning rates is no trap, nor is what ends well only by luck
        (lambda x: (min((x + 2) ** 2, 0.8 + x**2), 0.0), 0.09, 0.11),
        (lambda x: (0.3 + 0.1 * abs(x + 1), 2.0 if x > -0.9 else 0.01), 0.1, 0.4),
    ],
)
def test_what_looks_good_above_the_best_is_not_the_answer(
    judged: Any, low: float, high: float
) -> None:
    found = searched(Told(judged), 1.0)
    assert not found.confirmed and low < found.lr < high


def test_a_cautious_loss_is_the_mean_and_half_a_deviation_over_all_judgements() -> None:
    seen = [np.array([1.0, 2.0, 4.0, 3.0]), np.array([0.5, 0.7, 0.9, 8.0])]
    probes = [Probe(0.1, 0, 64, 9.0, 1.0, float(np.mean(x)), float(np.std(x))) for x in seen]
    together = np.concatenate(seen)
    assert cautious(probes) == pytest.approx(np.mean(together) + 0.5 * np.std(together))
    assert cautious([*probes, Probe(0.1, 2, 9, None, None)]) == math.inf


@pytest.mark.parametrize(
    ("points", "lowest"),
    [
        ({0.0: 1.0, 0.5: 0.25, 1.25: 0.0625, 2.0: 1.0}, pytest.approx(1.0)),
        ({0.0: 1.0, 1.0: 2.0}, 0.0),
        ({0.0: 2.0, 1.0: 1.0}, 1.0),
        ({0.0: 0.0, 1.0: 0.0, 2.0: 0.0}, 0.0),
        ({-1.0: 0.2, -0.5: 0.1, 0.0: 0.0, 0.5: 2.0}, -0.5),  # moved by a cliff
    ],
)
def test_the_lowest_point_of_a_parabola(points: dict[float, float], lowest: Any) -> None:
    assert parabola_minimum(points) == lowest
