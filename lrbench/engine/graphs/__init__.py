"""Captured training steps (`--graph`): an optional way to run the epochs of `engine.train`."""
