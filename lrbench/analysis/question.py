"""What a comparison asks: everything its statistics depend on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lrbench.analysis.racing import Looks
from lrbench.errors import Notice
from lrbench.options.compare import Metric
from lrbench.plan import Choice

MetricName = Metric


@dataclass(frozen=True)
class Question:
    """`schedules` are in the order they were named; any others come after them. `seeds` is the
    planned number of final seeds. `test_size` and `val_size` are in images: one image is the
    smallest step of an accuracy. `notices` were issued earlier; `manifest` says what the run is,
    and `choices` how each LR was chosen, by schedule, budget and batch size. `looks` is set if the
    schedules are compared more than once, in a race or in a run that grew; differences below
    `margin` do not matter. `aim` is another size (epochs or batch size) for which to predict the
    best LR."""

    schedules: tuple[str, ...] = ()
    metric: MetricName = "test_accuracy"
    reference: str | None = None
    target_accuracy: float | None = None
    aim: tuple[str, int] | None = None
    confidence: float = 0.95
    looks: Looks | None = None
    margin: float | None = None
    studies: int = 1
    seeds: int | None = None
    test_size: int | None = None
    val_size: int | None = None
    classes: int | None = None
    notices: tuple[Notice, ...] = ()
    choices: Mapping[tuple[str, int, int], Choice] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def alpha(self) -> float:
        """The chance of any false claim over a whole family of comparisons."""
        return 1 - self.confidence

    def margin_of(self, metric: MetricName) -> float | None:
        """The margin as a difference of the metric; for accuracies it is given in points."""
        return self.margin and self.margin / (100 if is_accuracy(metric) else 1)

    def size(self, metric: MetricName) -> int | None:
        """The number of images the metric is measured on, if known."""
        return self.test_size if metric.startswith("test") else self.val_size


def is_accuracy(metric: str) -> bool:
    return metric.endswith("accuracy")


def metric_words(metric: str) -> str:
    """
    >>> metric_words("test_accuracy"), metric_words("val_bits")
    ('test accuracy', 'val bits per character')
    """
    return metric.replace("_bits", " bits per character").replace("_", " ")


def bits(loss: float | None) -> float | None:
    """A cross-entropy of characters, in nats, as bits per character.

    >>> round(bits(math.log(256)))
    8
    """
    return None if loss is None else loss / math.log(2)


def direction(metric: str) -> int:
    """+1 where higher is better, -1 where lower is.

    >>> direction("test_accuracy"), direction("val_loss")
    (1, -1)
    """
    return 1 if is_accuracy(metric) else -1
