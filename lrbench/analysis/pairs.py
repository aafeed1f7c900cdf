"""Differences between schedules, paired by seed."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from lrbench.analysis.corrections import Bools, Floats


@dataclass(frozen=True, eq=False)
class Pairs:
    """All differences `row - column` between k schedules; every array is k x k.

    `n` common seeds; `mean` and `sd` of the difference (the sd is floored); `p` two-sided; `equal`
    where the two agree in every common seed. NaN where there are fewer than two common seeds.
    """

    n: Floats
    mean: Floats
    sd: Floats
    p: Floats
    equal: Bools


def compare_pairs(values: Floats, floor: float = 0.0) -> Pairs:
    """Paired t statistics for all pairs of columns of `values` (seeds x schedules, NaN where a
    value is missing), over the seeds that both columns have.

    t = mean / (sd / √n) with n - 1 degrees of freedom (Student 1908). The sd is at least `floor`;
    differences that are all zero are an exact tie with p = 1. The percentile bootstrap would call
    a fifth of all ties a difference at three to five seeds.
    """
    differences = values[:, :, None] - values[:, None, :]
    present = np.isfinite(differences)
    n = present.sum(axis=0).astype(float)
    enough = n >= 2
    filled = np.where(present, differences, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(n > 0, filled.sum(axis=0) / n, np.nan)
        squares = np.where(present, (filled - mean) ** 2, 0.0).sum(axis=0)
        sd = np.where(enough, np.sqrt(squares / (n - 1)), np.nan)
        equal = enough & (filled == 0).all(axis=0)
        sd = np.where(equal, 0.0, np.maximum(sd, floor))
        error = sd / np.sqrt(n)
        p = 2 * stdtr(n - 1, -np.abs(mean) / error)
    p = np.where(equal, 1.0, np.where(enough, p, np.nan))
    return Pairs(n, mean, sd, p, equal)
