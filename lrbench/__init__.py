"""Which learning rate to start from, and which schedule to use.

    >>> import lrbench
    >>> lrbench.schedules.parse("linear").table(lr=1.0, steps=4, steps_per_epoch=4)
    [1.0, 0.75, 0.5, 0.25]

`find`, `suggest` and `max_stable_lr` are the range test, `compare` ranks schedules; `schedules` and
`models` are packages. Nothing heavy is imported before it is used.
"""

from importlib import import_module

TYPE_CHECKING = False  # type checkers set it; importing `typing` would take longer than all of this
if TYPE_CHECKING:
    from lrbench import models, schedules
    from lrbench.rangetest.api import find, max_stable_lr
    from lrbench.rangetest.suggest import suggest
    from lrbench.session.api import Comparison, compare

__version__ = "0.1.0"
__all__ = ["Comparison", "compare", "find", "max_stable_lr", "models", "schedules", "suggest"]
_HOMES = {
    "Comparison": "lrbench.session.api",
    "compare": "lrbench.session.api",
    "find": "lrbench.rangetest.api",
    "max_stable_lr": "lrbench.rangetest.api",
    "suggest": "lrbench.rangetest.suggest",
}


def __getattr__(name: str) -> object:
    if name in ("models", "schedules"):
        return import_module(f"lrbench.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lrbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
