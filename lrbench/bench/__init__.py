"""This machine: the engine against the loop that people write by hand."""
