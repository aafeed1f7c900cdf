"""The command line: one file per command. Heavy modules are imported inside command bodies."""

from lrbench.cli.app import app

__all__ = ["app"]
