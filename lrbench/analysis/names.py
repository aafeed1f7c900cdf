"""What a schedule's name says about it, and short forms of the name."""

from lrbench.errors import LrbenchError
from lrbench.schedules import Schedule, parse

NAME_WIDTH = 60


def watches_training(name: str) -> bool:
    """True if the schedule reacts to the training, as reduce-on-plateau does. False if its plug-in
    is not installed."""
    found = _parsed(name)
    return found is not None and bool(found.adaptive)


def is_schedule(name: str) -> bool:
    """True for a schedule, False for an arm."""
    return _parsed(name) is not None


def _parsed(name: str) -> Schedule | None:
    try:
        return parse(name)
    except LrbenchError:
        return None


def short(name: str, width: int = NAME_WIDTH) -> str:
    """The name in at most `width` characters; the middle of a longer one is left out, at word
    boundaries where enough remains.

    >>> short("warmup(5%) + cosine", 11), short("warmup(5%) + linear + cosine", 24)
    ('warmu…osine', 'warmup(5%) … + cosine')
    """
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    head = width - 1 - tail
    return f"{_whole_words(name[:head])}…{_whole_words(name[: -tail - 1 : -1])[::-1]}"


def _whole_words(part: str) -> str:
    """The part up to its last space, bracket or comma, unless that cuts it in half."""
    ends = [place for place, letter in enumerate(part, 1) if letter in " (),[]"]
    return part[: ends[-1]] if ends and 2 * ends[-1] >= len(part) else part
