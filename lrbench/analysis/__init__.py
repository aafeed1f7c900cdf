"""From trial records to an honest ranking: pure functions on tidy frames."""

from lrbench.analysis.question import MetricName, Question
from lrbench.analysis.raced import raced
from lrbench.analysis.racing import spending
from lrbench.analysis.ranking import rank
from lrbench.analysis.summary import Summary, summarise
from lrbench.analysis.versus import versus

__all__ = ["MetricName", "Question", "Summary", "raced", "rank", "spending", "summarise", "versus"]
