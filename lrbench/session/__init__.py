"""The commands `find` and `compare` as a library, used by the command line and Python alike."""
