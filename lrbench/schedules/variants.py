"""Several schedules in one text, `cosine(min={0,1%})`, and groups of schedules that differ in one
value."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from lrbench.errors import UsageError
from lrbench.schedules.parse import parse
from lrbench.schedules.spec import Call, Phases, Spec, value_text
from lrbench.schedules.tokens import outside_quotes

MAX_MEMBERS = 200
AMOUNT = re.compile(r"(-?[\d.]+(?:e-?\d+)?)(ep|it|%|)")


def expand(text: str) -> list[str]:
    """The specs that a text with braces expands to. The last braces vary fastest.

    >>> expand("warmup({1,5}%) + {cosine, linear(to=1%)}")[1:3]
    ['warmup(1%) + linear(to=1%)', 'warmup(5%) + cosine']

    Raises:
        UsageError: a brace is not closed, or there are more than 200 specs.
    """
    marks = _marks(text)
    if not marks:
        return [text]
    head, tail, found = text[: marks[0]], text[marks[-1] + 1 :], []
    for begin, end in pairwise(marks):
        found += expand(head + text[begin + 1 : end].strip() + tail)
        if len(found) > MAX_MEMBERS:
            raise UsageError(f"{text!r} stands for more than {MAX_MEMBERS} schedules")
    return found


def _marks(text: str) -> list[int]:
    """The positions of the first opening brace, its commas and its closing brace, if any."""
    marks: list[int] = []
    inside = 0
    for place, character, depth in outside_quotes(text):
        if not marks and character == "{":
            marks, inside = [place], depth + 1
        elif marks and character in ",}" and depth == inside:
            marks.append(place)
            if character == "}":
                return marks
    if marks:
        raise UsageError(f"{text!r}: the {{ at column {marks[0] + 1} is not closed")
    return []


@dataclass(frozen=True)
class Variants:
    """Schedules that differ in one parameter: its name, and its value in the spec of each schedule.
    `amounts` are the values as numbers, in increasing order, if all have the same unit."""

    parameter: str
    values: dict[str, str]
    amounts: tuple[float, ...] = ()


def variants(names: Iterable[str]) -> list[Variants]:
    """The groups of schedules that differ in one parameter, largest first.

    >>> variants(["warmup(5%) + cosine", "linear", "warmup(10%) + cosine"])[0].parameter
    'length of warmup'
    """
    groups: dict[tuple[Any, ...], dict[str, str]] = defaultdict(dict)
    for name in names:
        shape, at, lr = name.partition(" @ ")
        settings = [*_settings(parse(name).spec), *([(f"LR of {shape}", lr)] if at else [])]
        for place, (label, value) in enumerate(settings):
            if label:
                groups[label, *settings[:place], *settings[place + 1 :]][name] = value
    found = [_rising(key[0], values) for key, values in groups.items() if len(values) > 1]
    return sorted(found, key=lambda one: -len(one.values))


def _settings(spec: Spec) -> Iterator[tuple[str, str]]:
    """The contents of a spec as pairs of parameter label and text; structure has no label."""
    match spec:
        case Phases(parts=parts, times=times):
            if times:
                yield from [("repetitions", str(times)), ("", str(spec.count() // times))]
            yield from (one for part in parts for one in _settings(part))
        case Call(name=name, factors=factors):
            yield from (one for factor in factors for one in _settings(factor))
            yield "", name
            for key, value in {**spec.arguments, **spec.common}.items():
                yield f"{key} of {name}", value_text(value)


def _rising(label: str, values: dict[str, str]) -> Variants:
    read = {name: AMOUNT.fullmatch(value) for name, value in values.items()}
    amounts = {name: float(found[1]) for name, found in read.items() if found}
    units = {found[2] for name, found in read.items() if found and amounts[name]}  # 0 has none
    if len(amounts) < len(values) or len(units) > 1:
        return Variants(label, values)
    order = sorted(amounts, key=amounts.__getitem__)
    return Variants(label, {one: values[one] for one in order}, tuple(amounts[o] for o in order))
