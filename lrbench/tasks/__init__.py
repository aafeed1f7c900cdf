"""Problems to train on. The training loop knows only `Task`."""
