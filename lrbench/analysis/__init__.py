"""From the records of trials to a ranking that is honest: pure functions on tidy frames."""

from __future__ import annotations

from lrbench.analysis.question import MetricName, Question
from lrbench.analysis.ranking import rank
from lrbench.analysis.summary import Summary, summarise, summary_of
from lrbench.analysis.versus import versus

__all__ = ["MetricName", "Question", "Summary", "rank", "summarise", "summary_of", "versus"]
