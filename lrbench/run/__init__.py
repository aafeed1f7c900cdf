"""A run on disk: its folder, journals and manifest, and what must not change during the run."""
