"""The CSV files of a run: RFC 4180, LF, floats in full precision, empty cells if missing."""

from pathlib import Path

from pandas import DataFrame

from lrbench.analysis import Summary
from lrbench.analysis.decay import DECAYS
from lrbench.analysis.diagnosis import DIAGNOSIS
from lrbench.analysis.frames import EPOCHS, STEPS, TRIALS
from lrbench.analysis.noise import NOISE
from lrbench.analysis.ranking import RANKING
from lrbench.analysis.reference import REFERENCE
from lrbench.analysis.scaling import SCALING
from lrbench.analysis.sensitivity import SENSITIVITY
from lrbench.analysis.studies import STUDIES
from lrbench.errors import printable
from lrbench.files import replace_file
from lrbench.report.text import no_formula

FILES = {
    "trials": TRIALS,
    "epochs": EPOCHS,
    "ranking": RANKING,
    "sensitivity": SENSITIVITY,
    "scaling": SCALING,
    "steps": STEPS,
    "reference": REFERENCE,
    "noise": NOISE,
    "studies": STUDIES,
    "decays": DECAYS,
    "diagnosis": DIAGNOSIS,
}
ALWAYS = ("trials", "epochs", "ranking", "sensitivity")


def write(summary: Summary, folder: Path) -> list[Path]:
    """Write or replace trials, epochs, ranking and sensitivity, and the other files if they have
    rows; each is replaced atomically.

    Raises:
        MachineError: a file cannot be written; the message names it.
    """
    frames = {name: getattr(summary, name) for name in FILES}
    return [
        replace_file(folder / f"{name}.csv", to_csv(frame).encode())
        for name, frame in frames.items()
        if len(frame) or name in ALWAYS
    ]


def to_csv(frame: DataFrame) -> str:
    """The frame as CSV. Text that a spreadsheet would run as a formula is prefixed with an
    apostrophe."""
    flags = dict.fromkeys(frame.select_dtypes("bool"), "int64")
    texts = frame.select_dtypes(exclude=["number", "bool"])
    safe = texts.map(lambda raw: no_formula(printable(raw)) if isinstance(raw, str) else raw)
    text: str = frame.astype(flags).assign(**safe).to_csv(index=False, lineterminator="\n")
    return text
