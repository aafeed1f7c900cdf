"""Several schedules in one text, `cosine(min={0,1%})`, and which of many differ in one value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from lrbench.errors import UsageError
from lrbench.schedules.parse import parse
from lrbench.schedules.spec import Call, Phases, Repeat, Spec, value_text

MAX_MEMBERS = 200


def expand(text: str) -> list[str]:
    """The specs that a text with alternatives in braces stands for, the last varying fastest.

    >>> expand("warmup({1,5}%) + {cosine, linear(to=1%)}")[1:3]
    ['warmup(1%) + linear(to=1%)', 'warmup(5%) + cosine']

    Raises:
        UsageError: a brace is not closed, or there are more than 200.
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
    """Where the first braces open, their commas are, and they close."""
    marks: list[int] = []
    depth, quote = 0, ""
    for place, character in enumerate(text):
        if quote or character in "\"'":
            quote = "" if character == quote else quote or character
        elif not marks:
            marks += [place] if character == "{" else []
        elif character == "}" and depth == 0:
            return [*marks, place]
        elif character == "," and depth == 0:
            marks.append(place)
        else:
            depth += (character in "([{") - (character in ")]}")
    if marks:
        raise UsageError(f"{text!r}: the {{ at column {marks[0] + 1} is not closed")
    return []


@dataclass(frozen=True)
class Variants:
    """Schedules that differ in one parameter: its name, and by schedule its value as specs write
    it, rising. `amounts` are the values as numbers, where all have one unit."""

    parameter: str
    values: dict[str, str]
    amounts: tuple[float, ...] = ()


def variants(names: Iterable[str]) -> list[Variants]:
    """The groups of schedules that differ in one parameter, largest first.

    >>> variants(["warmup(5%) + cosine", "linear", "warmup(10%) + cosine"])[0].parameter
    'length of warmup'
    """
    groups: dict[Any, dict[str, Any]] = defaultdict(dict)
    for name in names:
        slots = list(_slots(parse(name).spec))
        for place, (label, value) in enumerate(slots):
            if label:
                groups[label, *slots[:place], *slots[place + 1 :]][name] = value
    found = [_variants(key[0], values) for key, values in groups.items() if len(values) > 1]
    return sorted(found, key=lambda one: -len(one.values))


def _slots(spec: Spec) -> Iterator[tuple[str, Any]]:
    """All that a spec says, with the label of each parameter; none for what is structure."""
    match spec:
        case Phases(parts=parts):
            for part in parts:
                yield from _slots(part)
        case Repeat(times=times, body=body):
            yield "", body.count()
            yield "repetitions", times
            yield from _slots(body)
        case Call():
            for factor in spec.factors:
                yield from _slots(factor)
            yield "", (spec.name, len(spec.factors))
            common = {"duration": spec.duration, "update": spec.update, "clock": spec.clock}
            for name, value in {**spec.arguments, **common}.items():
                yield f"{name} of {spec.name}", value


def _variants(parameter: str, values: dict[str, Any]) -> Variants:
    texts = {name: value_text(value) for name, value in values.items()}
    amounts = {name: getattr(value, "amount", value) for name, value in values.items()}
    units = {
        getattr(value, "unit", getattr(value, "relative", None))
        for name, value in values.items()
        if amounts[name] != 0  # 0 is 0 in every unit
    }
    if len(units) > 1 or not all(type(one) in (int, float) for one in amounts.values()):
        return Variants(parameter, texts)
    order = sorted(amounts, key=amounts.__getitem__)
    return Variants(parameter, {one: texts[one] for one in order}, tuple(amounts[o] for o in order))
