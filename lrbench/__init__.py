"""Which learning rate to start from, and which schedule to use."""

__version__ = "0.1.0"
