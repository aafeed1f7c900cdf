"""The range test: a sweep over learning rates, what it suggests, and how sure that is."""
