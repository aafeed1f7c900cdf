"""The commands `find` and `compare` as a library: what the command line and Python alike call."""
