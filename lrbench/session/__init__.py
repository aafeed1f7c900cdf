"""`find` and `compare` as a library, for the command line and for Python."""
