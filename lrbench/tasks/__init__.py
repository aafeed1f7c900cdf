"""Problems to train on. The training loop sees `Task` alone."""

from lrbench.tasks.base import Split, Task

__all__ = ["Split", "Task"]
