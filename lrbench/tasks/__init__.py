"""Problems to train on. The training loop knows only `Task`."""

from lrbench.tasks.base import Split, Task

__all__ = ["Split", "Task"]
