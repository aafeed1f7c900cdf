"""Rules that read a learning rate off a curve. A rule is one registered function from a curve to
the log10 of its learning rate."""

from collections.abc import Callable

import numpy as np

from lrbench.rangetest.curve import Curve, Floats
from lrbench.registry import Registry

RuleFn = Callable[[Curve], float]
DEFAULT_RULE = "steepest"
STRETCH = 0.7


RULES: Registry[RuleFn] = Registry("rule")


@RULES.register("steepest", "where the smoothed loss falls fastest in log LR")
def steepest(curve: Curve) -> float:
    """Steepest descent in log LR, before the minimum.

    With s(u) = dL/du + 2·se(dL/du), the centre of the stretch around argmin s over
    u <= u_bottom where s is at least 70 % of its lowest, each point weighted by s. The standard
    error discounts steep flukes in noise and at the ends; the stretch is steadier than the
    single steepest point.
    Source: the gradient rule of pytorch-lr-finder, fastai ("steep") and ignite, with the
    derivative of the smoother instead of differences of points.
    """
    bound, steep = _sure_slope(curve), steepest_index(curve)
    near = bound <= STRETCH * bound[steep]
    left = steep - int(np.argmin(np.append(near[: steep + 1][::-1], False))) + 1
    right = steep + int(np.argmin(np.append(near[steep:], False)))
    if right - left < 2:
        return float(curve.u[steep])
    return float(np.average(curve.u[left:right], weights=-bound[left:right]))


def steepest_index(curve: Curve) -> int:
    """The point where the loss falls fastest, discounting noise."""
    return int(np.argmin(_sure_slope(curve)))


def _sure_slope(curve: Curve) -> Floats:
    return (curve.smooth.slope + 2 * curve.slope_error)[: curve.bottom + 1]


@RULES.register("valley", "the middle of the deepest fall")
def valley(curve: Curve) -> float:
    """The middle, in log LR, of the falling run of the smoothed loss that drops furthest.

    Source: fastai's default rule (ESRI), which takes the longest falling *subsequence* and its
    middle by index; on a smoothed curve the deepest run stands for it, and noise does not shift it.
    """
    falling = np.diff(curve.smooth.value[: curve.bottom + 1]) < 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], falling, [False]]).astype(int)))
    if len(edges) == 0:
        return float(curve.u[curve.bottom])
    starts, stops = edges[::2], edges[1::2]
    depth = curve.smooth.value[starts] - curve.smooth.value[stops]
    deepest = int(np.argmax(depth))
    return float((curve.u[starts[deepest]] + curve.u[stops[deepest]]) / 2)


@RULES.register("minimum", "one tenth of the LR where the smoothed loss is lowest")
def minimum(curve: Curve) -> float:
    """A tenth of the learning rate at the minimum of the smoothed loss.

    Source: fastai's "minimum" rule (Howard's lectures, 2018).
    """
    return float(curve.u[curve.bottom]) - 1.0


@RULES.register("slide", "before the loss stops falling, seen from the right")
def slide(curve: Curve) -> float:
    """Slide an interval down from the right until the slopes at its two ends agree.

    The answer is the interval's left end. Source: fastai's "slide" rule (the interval slide rule
    of ESRI), whose interval is 15 of 100 points over 8 decades = 1.2 decades. Its
    tolerance is an absolute loss; here it is 5 % of the steepest slope, whatever the loss's scale.
    It starts where the loss has risen by half its fall: beyond that, slopes mean nothing.
    """
    interval = 1.2
    value, slope, bottom = curve.smooth.value, curve.smooth.slope, curve.bottom
    tolerance = 0.05 * float(np.abs(slope[: bottom + 1]).max())
    risen = np.flatnonzero(value[bottom:] >= value[bottom] + curve.drop / 2)
    last = bottom + int(risen[0]) if len(risen) else len(slope) - 1
    for right in range(last, 0, -1):
        left = float(curve.u[right]) - interval
        if left < curve.u[0]:
            break
        if slope[right] - np.interp(left, curve.u, slope) <= tolerance:
            return left
    return max(float(curve.u[curve.bottom]) - interval, float(curve.u[0]))
