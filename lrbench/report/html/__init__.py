"""`report.html`: one file that needs no network, for a comparison or for a range test."""

from lrbench.report.html.compare import compare_page
from lrbench.report.html.find import find_page

__all__ = ["compare_page", "find_page"]
