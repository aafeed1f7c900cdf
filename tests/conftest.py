"""Before anything imports torch: its threads wait as they do under the command."""

from lrbench.engine.waiting import wait_briefly
from tests.own_code import own_pkg

wait_briefly()

__all__ = ["own_pkg"]
