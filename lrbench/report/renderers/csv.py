"""The tables of a run as CSV files."""

from lrbench.report.csv_files import write
from lrbench.report.renderers import RENDERERS

RENDERERS.register("csv", "the tables of a run", always=True)(write)
