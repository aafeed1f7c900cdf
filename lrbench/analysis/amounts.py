"""Values and differences of a metric, formatted for people."""

import math

from lrbench.analysis.question import is_accuracy, metric_words

HUGE = 1e6


def amount(value: float, metric: str) -> str:
    """A value of the metric with its unit: an accuracy in per cent, with one more digit above 99 %;
    other metrics to three digits.

    >>> amount(0.9712, "test_accuracy"), amount(0.99123, "test_accuracy"), amount(0.08, "val_loss")
    ('97.1 %', '99.12 %', '0.08')
    """
    if not is_accuracy(metric):
        return f"{value:.3g}" + " bits per character" * metric.endswith("bits")
    return f"{100 * value:.{2 if value >= 0.99 else 1}f} %"


def loss_form(*losses: float) -> str:
    """The format of losses shown together: with an exponent if the largest is tiny or huge."""
    largest = max(map(abs, losses))
    return ".4f" if largest == 0 or 1e-3 <= largest < HUGE else ".1e"


def loss_text(loss: float) -> str:
    """
    >>> loss_text(0.12345), loss_text(-3e-6), loss_text(0)
    ('0.1235', '-3.0e-06', '0.0000')
    """
    return f"{loss:{loss_form(loss)}}"


def margin(value: float, half: float | None, metric: str) -> str:
    """A difference with the half-width of its interval, with as many digits as the width supports.

    >>> margin(0.0093, 0.0031, "test_accuracy"), margin(0.5, None, "test_loss")
    ('0.9 ± 0.3 points', '0.5 in test loss')
    """
    scale, unit = _scale(metric)
    sizes = [scale * abs(x) for x in (value, half) if x is not None and math.isfinite(x) and x]
    digits = max((_digits(size) for size in sizes), default=1)
    form = _form(digits, unit, max(sizes, default=1.0))
    text = f"{scale * value:{form}}"
    if half is not None and math.isfinite(half):
        text += f" ± {scale * half:{form}}"
    return f"{text} {unit}"


def at_most(bound: float, metric: str) -> str:
    """An upper bound of a difference, rounded up to two digits.

    >>> at_most(0.00448, "test_accuracy"), at_most(1, "test_accuracy"), at_most(2, "val_loss")
    ('0.45 points', '100 points', '2.0 in val loss')
    """
    scale, unit = _scale(metric)
    if not (bound > 0 and math.isfinite(bound)):
        return margin(bound, None, metric)
    digits = 1 - math.floor(math.log10(scale * bound))
    step = 10.0 ** -(min(2, digits) if unit == "points" else digits)
    return f"{math.ceil(scale * bound / step - 1e-9) * step:{_form(digits, unit, bound)}} {unit}"


def _scale(metric: str) -> tuple[int, str]:
    """The factor and the unit in which differences are shown."""
    if is_accuracy(metric):
        return 100, "points"
    return 1, "bits" if metric.endswith("bits") else f"in {metric_words(metric)}"


def _form(digits: int, unit: str, largest: float) -> str:
    """At most two decimals of a point; tiny and huge differences of a loss have an exponent."""
    if unit != "points" and not 1e-5 <= largest < HUGE:
        return ".1e"
    return f".{max(0, min(2 if unit == 'points' else 6, digits))}f"


def _digits(size: float) -> int:
    """Decimals needed for one significant digit, at least one."""
    return max(1, -math.floor(math.log10(size)))
