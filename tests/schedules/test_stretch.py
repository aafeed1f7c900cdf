"""A schedule on a shorter budget has the shape that it has on the whole one."""

import pytest

from lrbench.errors import UsageError
from lrbench.schedules import SCHEDULES, parse
from lrbench.schedules.stretch import stretched

EPOCH = 40
WHOLE = 16


@pytest.mark.parametrize(
    "spec",
    ["cosine", "step(4ep, gamma=0.5)", "multistep([80it, 12ep], gamma=0.3)", "onecycle",
     "exponential(gamma=0.9)", "inverse_time(k=0.2)", "exp_range(2ep, gamma=0.999)",
     "sgdr(4ep, mult=2)", "2*(warmup(1ep, from=0) + cosine(duration=7ep))",
     "wsd(warmup=1ep, decay=4ep)", 'expr("1 if epoch < 8 else steps/10000")',
     "warmup(4ep) * step(6ep, gamma=0.9)"],
)  # fmt: skip
@pytest.mark.parametrize("share", [0.25, 0.5, 2])
def test_the_curve_is_the_same_over_the_share_of_the_run(spec: str, share: float) -> None:
    schedule = parse(spec)
    steps = WHOLE * EPOCH
    whole = schedule.table(lr=1.0, steps=steps, steps_per_epoch=EPOCH)
    short = stretched(schedule, share)
    shrunk = short.table(lr=1.0, steps=int(share * steps), steps_per_epoch=EPOCH)
    inside = [t for t in range(1, len(shrunk) - 1) if smooth(whole, int(t / share), share)]
    assert len(inside) > 0.6 * len(shrunk)
    for t in inside:
        assert shrunk[t] == pytest.approx(whole[min(steps - 1, int(t / share))], abs=0.06)
    assert parse(str(short)) == short


def smooth(table: list[float], step: int, share: float) -> bool:
    """Whether no jump lies within rounding of the step."""
    reach = round(2 / share) + 2
    near = table[max(0, step - reach) : step + reach]
    return max(near) - min(near) < 0.2


def test_patience_is_a_number_of_epochs_also_where_it_is_the_default() -> None:
    assert str(stretched(parse("plateau"), 0.5)) == "plateau(patience=5)"
    assert str(stretched(parse("plateau(patience=1)"), 0.25)) == "plateau(patience=1)"
    both = stretched(parse("plateau(patience=0, cooldown=8)"), 0.25)
    assert str(both) == "plateau(patience=0, cooldown=2)"


def test_a_factor_for_every_epoch_gives_the_same_end() -> None:
    half = stretched(parse('multiplicative("0.9")'), 0.5)
    assert half.bind(1.0, 5 * EPOCH, EPOCH).lr(4 * EPOCH) == pytest.approx(0.9**8)


def test_relative_schedules_stay_as_they_are() -> None:
    for entry in SCHEDULES:
        if entry.make.of_torch or entry.name in ("plateau", "greedy"):
            continue
        bare = entry.name if entry.name != "expr" else 'expr("1 - progress")'
        assert stretched(parse(bare), 0.25) == parse(bare)


@pytest.mark.parametrize("spec", ["StepLR(step_size=30)", "ReduceLROnPlateau(patience=3)"])
def test_torch_names_are_refused(spec: str) -> None:
    with pytest.raises(UsageError, match=r"--budgets: \w+ counts the epochs"):
        stretched(parse(spec), 0.5)
