"""Before anything imports torch: its threads wait as they do under the command, and cuBLAS works
as --deterministic wants it, which torch asks at the first matrix product of a process alone."""

import os

from lrbench.engine.waiting import wait_briefly
from tests.own_code import own_pkg

wait_briefly()
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

__all__ = ["own_pkg"]
