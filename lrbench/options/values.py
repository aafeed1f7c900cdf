"""Building blocks of specs: bounded numbers, frozen values with a canonical text, and parsers
that raise ValueError for an invalid value."""

import hashlib
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from lrbench.errors import UsageError
from lrbench.options.option import listed, named, options_of, said
from lrbench.registry import did_you_mean
from lrbench.schedules import expand, parse

Number = TypeVar("Number", int, float)
PLAIN = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be text",
}

BOUNDS = {"greater": "at least", "less": "at most"}


def refused(fault: ValidationError, called: Mapping[str, str] = MappingProxyType({})) -> UsageError:
    """The first error in `fault`, in our own words. `called` maps fields to the names to show for
    them."""
    first: Mapping[str, Any] = fault.errors()[0]
    cause = first.get("ctx", {}).get("error")
    words = str(cause or re.sub("''(, | or )|'", "", first["msg"])).splitlines()[0]
    kind, _, what = first["type"].partition("_")
    if what in ("type", "parsing", "parsing_size", "from_float"):
        words = PLAIN.get(kind, words)
    words = re.sub("^[A-Z][a-z]+ should", "must", words)
    words = re.sub("(greater|less) than or equal to", lambda found: BOUNDS[found[1]], words)
    place = [str(part) for part in first["loc"] if part != "recipe"]
    if not place:
        return UsageError(words)
    name = called.get(place[0], place[0])
    if isinstance(cause, UsageError):
        return named(name, cause)
    texts = listed(first["input"])
    typed = ",".join(texts) if {*map(type, texts)} == {str} else str(first["input"])
    return UsageError(f"{name} {typed:.80}: {words}")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Finite = Annotated[float, AfterValidator(_finite)]
Positive = Annotated[Finite, Field(gt=0)]
Fraction = Annotated[Finite, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]
EPOCHS = 3  # default of a run
FEWEST_SIZES = 3  # needed to check a power law
BatchSize = Annotated[int, Field(ge=1)]
Momentum = Annotated[Finite, Field(ge=0, lt=1)]
Schedule = Annotated[str, AfterValidator(lambda text: str(parse(text)))]
Schedules = Annotated[
    tuple[Schedule, ...],
    Field(min_length=1, validate_default=True),
    BeforeValidator(lambda names: [one for name in listed(names) for one in _expanded(name)]),
    AfterValidator(lambda names: tuple(dict.fromkeys(names))),
]


def _expanded(name: Any) -> list[Any]:
    return expand(name) if isinstance(name, str) else [name]


def off(value: Any) -> BeforeValidator:
    """Let users type this value for None."""
    return BeforeValidator(lambda typed: None if typed == value else typed)


def word_off(word: str) -> BeforeValidator:
    """Let users type this word for an empty text."""
    return BeforeValidator(lambda typed: "" if typed == word else typed)


class Frozen(BaseModel):
    """An immutable value that refuses unknown fields and has one canonical text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def canonical(self) -> str:
        """The text that ids and fingerprints hash; equal values have equal texts."""
        return canonical(self.model_dump(mode="json"))


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces. Leaves out fields that are None, False or empty, so that
    adding a field that is off by default does not change older texts.

    >>> canonical({"lr": 0.1, "clip_norm": None, "groups": []})
    '{"lr":0.1}'
    """
    return json.dumps(_without_off(value), sort_keys=True, separators=(",", ":"))


def _without_off(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    kept = {key: _without_off(part) for key, part in value.items()}
    return {key: part for key, part in kept.items() if part or (part == 0 and part is not False)}


def differences(old: Mapping[str, Any], new: Mapping[str, Any], kind: type) -> list[str]:
    """`--option old -> new` for each leaf that differs between two specs of a kind, given as nested
    mappings. An unset field equals an absent one, because older runs lack newer fields."""
    return list(dict.fromkeys(_differing(old, new, kind, "")))


def _differing(old: Mapping[str, Any], new: Mapping[str, Any], kind: Any, of: str) -> Iterator[str]:
    flags = {option.field: option.flag for option in options_of(kind).values()}
    for key in new:
        if key not in old and canonical({key: new[key]}) == "{}":
            continue
        before, after = old.get(key), new[key]
        flag = f"{of} {key}" if of else flags.get(key, "--" + key.replace("_", "-"))
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            inner = kind.model_fields[key].annotation if key in kind.model_fields else kind
            yield from _differing(before, after, inner, flag if key in flags else "")
        elif before != after:
            yield f"{flag} {said(before)} -> {said(after)}"


def digest(text: str, length: int = 12) -> str:
    """The first `length` hexadecimal characters of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def pairs(texts: Iterable[str], hint: str = "", known: Collection[str] = ()) -> dict[str, str]:
    """Parse texts of the form `key=value`; if `known` is given, refuse all other keys.

    >>> pairs(["points=100", " seeds = 3"])
    {'points': '100', 'seeds': '3'}
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not value or not key.isidentifier():
            raise UsageError(f"{text.strip()!r} is not of the form key=value", hint=hint)
        if known and key not in known:
            raise UsageError(f"unknown key {key!r}", hint=did_you_mean(key, known))
        if key in found:
            raise UsageError(f"{key} is given twice")
        found[key] = value
    return found


def split(value: Any) -> list[Any]:
    """The items of a list, or of a comma-separated text."""
    return listed(value.split(",") if isinstance(value, str) else value)


def joined(values: Iterable[Any]) -> str:
    return ",".join(map(repr, values))


def numbers(value: Any, or_else: str = "") -> tuple[float, ...]:
    """
    >>> numbers("0,0.9"), numbers(0.9)
    ((0.0, 0.9), (0.9,))
    """
    try:
        return tuple(float(part) for part in split(value))
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"give {or_else}numbers separated by commas") from None


def learning_rates(value: Any) -> tuple[float, ...]:
    """The LRs in increasing order; empty for `auto`, the range test.

    >>> learning_rates("0.2,0.1"), learning_rates("auto")
    ((0.1, 0.2), ())
    """
    return () if value == "auto" else tuple(sorted({*numbers(value, "auto, a number, or ")}))


def batch_sizes(value: Any) -> tuple[int, ...]:
    """
    >>> batch_sizes(128), batch_sizes("64,128")
    ((128,), (64, 128))
    """
    parts = [str(part).strip() for part in split(value)]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise ValueError("give whole numbers of at least 1, or all")
    return tuple(map(int, parts))


def one_size(value: Any) -> str:
    """`40ep`, or a bare number, whose unit `aim_of` decides."""
    text = str(value).strip()
    number = text.removesuffix("ep")
    if not number.isdecimal() or not int(number):
        raise ValueError("give a number of epochs, such as 40ep, or a batch size")
    return text


OneSize = Annotated[str, BeforeValidator(one_size)]


def aim_of(typed: str, lengths: Sequence[int], batch_sizes: Sequence[int]) -> tuple[str, int]:
    """What to extrapolate, and to which value. A bare number means epochs, unless only the batch
    size varies. Raises ValueError if there are too few sizes to check a power law.

    >>> aim_of("40ep", (1, 2, 4), ()), aim_of("512", (), (32, 64, 128))
    (('epochs', 40), ('batch size', 512))
    """
    bare = not typed.endswith("ep")
    over = "batch size" if bare and len(lengths) < FEWEST_SIZES else "epochs"
    if len(lengths if over == "epochs" else batch_sizes) < FEWEST_SIZES:
        raise ValueError(
            f"--extrapolate {typed} needs three {'sizes' if bare else 'lengths'} or more: "
            f"--budgets 1,2,4,8{' or --batch-size 32,64,128' * bare}"
        )
    return over, int(typed.removesuffix("ep"))


def several(values: tuple[Number, ...]) -> tuple[Number, ...]:
    """The distinct values; empty if there is only one, the recipe's."""
    found = tuple(dict.fromkeys(values))
    return found if len(found) > 1 else ()


def one_batch_size(value: Any) -> int:
    """The only batch size; raises UsageError if there are several."""
    first, *more = batch_sizes(value)
    if more:
        raise UsageError("only lrbench compare takes several")
    return first


def epoch_budgets(value: Any, epochs: int) -> tuple[int, ...]:
    """Numbers of epochs in increasing order, from shares of the whole training or from numbers.

    >>> epoch_budgets("25%,50%,100%", 20), epoch_budgets([5, 10], 20)
    ((5, 10, 20), (5, 10))
    """
    found = set()
    for part in split(value):
        text = str(part).strip()
        try:
            exact = epochs * float(text[:-1]) / 100 if text.endswith("%") else float(text)
            whole = int(exact + 0.5)
        except (ValueError, OverflowError, TypeError):
            raise ValueError("give shares such as 25%,50%,100%, or numbers of epochs") from None
        if exact < 1 or (not text.endswith("%") and whole != exact):
            raise ValueError(f"{text} is {exact:g} epochs; give whole epochs, at least 1")
        found.add(whole)
    return tuple(sorted(found))


def duration_s(text: Any) -> float:
    """Seconds from a text such as `90s`, `20m` or `1h30m`; a bare number means seconds.

    >>> duration_s("1h30m")
    5400.0
    """
    if isinstance(text, float):
        return text
    found = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s?)?", str(text).strip())
    try:
        parts = [float(part or 0) for part in found.groups()] if found else []
    except ValueError:
        parts = []
    seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if seconds <= 0:
        raise ValueError("write it like 90s, 20m or 1h30m")
    return seconds


def whole_number(value: Any, flag: str, least: int, most: int) -> int:
    """Raises UsageError for anything but a whole number within the bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{flag} {value}: must be a whole number from {least} to {most:,}")
    return value


Duration = Annotated[Positive, BeforeValidator(duration_s)]
SeveralSizes = Annotated[
    tuple[BatchSize, ...], BeforeValidator(batch_sizes), AfterValidator(several)
]
SeveralDecays = Annotated[
    tuple[Annotated[Finite, Field(ge=0)], ...], BeforeValidator(numbers), AfterValidator(several)
]
