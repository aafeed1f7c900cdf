"""What the curves of a training say about it, in words, with the change to make."""

from lrbench.analysis.diagnosis.frame import (
    diagnose,
    diagnosis_frame,
    diagnosis_lines,
    rule_names,
    trial_line,
)
from lrbench.analysis.diagnosis.rules import RULES, Finding

__all__ = [
    "RULES", "Finding", "diagnose", "diagnosis_frame", "diagnosis_lines", "rule_names",
    "trial_line",
]  # fmt: skip
