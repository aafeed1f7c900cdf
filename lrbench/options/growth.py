"""How specs differ, and what the union of two is."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from lrbench.options.find import FindSpec
from lrbench.options.option import options_of, said
from lrbench.options.values import Frozen, canonical

Number = TypeVar("Number", int, float)


def union(
    old: tuple[Number, ...], new: tuple[Number, ...], silent: tuple[Number, ...]
) -> tuple[Number, ...]:
    """The values of both, where none at all means `silent`; none if both have none.

    >>> union((), (5,), (10,)), union((), (), (10,))
    ((5, 10), ())
    """
    both = (old or silent) + (new or silent)
    return tuple(sorted(set(both))) if old or new else ()


def differences(old: Mapping[str, Any], new: Mapping[str, Any], kind: type[Frozen]) -> list[str]:
    """`--option old -> new` for each leaf that differs between two specs of a kind, as nested
    mappings. An unset field equals an absent one: older runs lack newer fields."""
    return list(dict.fromkeys(_differing(old, new, kind, "")))


def _differing(
    old: Mapping[str, Any], new: Mapping[str, Any], kind: type[Frozen], of: str
) -> Iterator[str]:
    flags = {option.field: option.flag for option in options_of(kind).values()}
    for key in new:
        if key not in old and canonical({key: new[key]}) == "{}":
            continue
        before, after = old.get(key), new[key]
        flag = f"{of} {key}" if of else flags.get(key, "--" + key.replace("_", "-"))
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            inner = kind.model_fields[key].annotation if key in kind.model_fields else kind
            nested = flag if inner is FindSpec else ""
            assert isinstance(inner, type) and issubclass(inner, Frozen)
            yield from _differing(before, after, inner, nested)
        elif before != after:
            yield f"{flag} {said(before)} -> {said(after)}"
