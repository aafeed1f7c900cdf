"""What survives of a run: its folder, journals and manifest, and what must not change during it."""
