"""Options as keywords of the Python API: in its signatures, its documentation and its refusals."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from lrbench.errors import UsageError
from lrbench.experiment.option import Option
from lrbench.registry import did_you_mean

Function = TypeVar("Function", bound=Callable[..., Any])


def refuse_unknown(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises UsageError: a keyword that is no option of the function."""
    names = list(known)
    for key in given:
        if key not in names:
            hint = did_you_mean(key, names)
            raise UsageError(f"{function}: unknown option {key!r}", hint=hint)


def with_keywords(
    allowed: Mapping[str, Option], *, without: Iterable[str] = (), names: Mapping[str, str] = {}
) -> Callable[[Function], Function]:
    """Name all options in the signature and the documentation of a function that takes
    `**options`: those of `allowed`, `without` some, and some under other `names`."""
    options = {
        names.get(key, key): option for key, option in allowed.items() if key not in {*without}
    }

    def documented(function: Function) -> Function:
        signature = inspect.signature(function)
        *own, _ = signature.parameters.values()
        taken = {parameter.name for parameter in own}
        more = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=_default(option),
                annotation=_annotation(option),
            )
            for name, option in options.items()
            if name not in taken
        ]
        function.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*own, *more]
        )
        lines = [f"    {name}: {_help(option)}" for name, option in options.items()]
        wrapped = [textwrap.fill(line, 96, subsequent_indent=" " * 8) for line in lines]
        head = inspect.cleandoc(function.__doc__ or "")
        function.__doc__ = "\n".join([head, "", "Options:", *wrapped, ""])
        return function

    return documented


def _default(option: Option) -> Any:
    return option.default if isinstance(option.default, (str, int, float, list)) else None


def _annotation(option: Option) -> Any:
    kind = Any if option.opt.own or option.kind is object else option.kind
    return kind if _default(option) is not None else kind | None


def _help(option: Option) -> str:
    """The help as Python says it: keywords instead of flags."""
    text = option.help
    if "{choices}" in text:
        text = text.replace("{choices}", ", ".join(name for name, _ in option.completions()))
    return re.sub(r"--([a-z-]+)", lambda flag: flag[1].replace("-", "_"), text)
