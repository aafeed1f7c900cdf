"""Before anything imports torch: its threads shall sleep, not spin, while they wait."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from tests.own_code import own_pkg

__all__ = ["own_pkg"]
