"""Python text of functions, of calls of torch's classes and of values: what `code` prints."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

from lrbench.schedules.definitions import INPUTS, SCHEDULES
from lrbench.schedules.expression import CLOCK_NAMES, FUNCTIONS, Formula
from lrbench.schedules.spec import Call
from lrbench.schedules.torch_names import arguments_of, nested_counts

WIDTH = 66  # of arguments that stay on one line
IN_MATH = "|".join(name for name in FUNCTIONS if name not in ("min", "max", "abs"))


@dataclass
class Sources:
    """The functions that are printed above the code that uses them, and what they import."""

    texts: list[str] = field(default_factory=list)
    lines: set[str] = field(default_factory=set)
    seen: set[Any] = field(default_factory=set)

    def call(self, curve: partial[Any], first: str) -> str:
        """A call of a function with its numbers filled in; the function is printed above."""
        self.add(curve.func, defaults=False)
        shown = [first, *(f"{name}={value_code(one)}" for name, one in curve.keywords.items())]
        return f"{curve.func.__name__}({', '.join(shown)})"

    def add(self, function: Callable[..., Any], *, defaults: bool = True) -> None:
        """Print a function, and before it all that it uses."""
        function = inspect.unwrap(function)
        if function in self.seen:
            return
        self.seen.add(function)
        tree = _plain(function, defaults)
        for name in sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}):
            if name in function.__globals__:
                self._add_global(name, function.__globals__[name], function)
        self.texts.append(ast.unparse(tree))

    def _add_global(self, name: str, value: Any, user: Callable[..., Any]) -> None:
        plain = inspect.unwrap(value) if callable(value) else value
        if isinstance(value, ModuleType):
            as_name = "" if value.__name__ == name else f" as {name}"
            self.lines.add(f"import {value.__name__}{as_name}")
        elif inspect.isfunction(plain) and _package(plain) == _package(user):
            self.add(plain)
        elif callable(value):
            self.lines.add(f"from {value.__module__} import {name}")
        elif value not in self.seen:
            self.seen.add(value)
            self.texts.append(f"{name} = {value!r}")

    def table(self, text: str) -> str:
        """The name of a constant of that value."""
        line = next((one for one in self.texts if one.endswith(f" = {text}")), "")
        if line:
            return line.split(" = ")[0]
        name = f"ROWS_{sum(one.startswith('ROWS_') for one in self.texts) + 1}"
        self.texts.append(f"{name} = {text}")
        self.lines.add("import itertools")
        return name

    def add_module(self, name: str) -> None:
        """Import the module of `module:attribute`."""
        self.lines.add(f"import {name.partition(':')[0]}")

    def imports(self, text: str) -> list[str]:
        """The lines of all imports that the text needs, the standard library's `math` first."""
        known = {entry.name for entry in SCHEDULES if entry.make.of_torch}
        used = sorted(known & set(re.findall(r"\b\w+(?=[(\n])|(?<=\()\w+(?=\))", text)))
        math = {"import math"} if re.search(r"\bmath\.", text) else set()
        plain = sorted(self.lines | math)
        return plain + [f"from torch.optim.lr_scheduler import {', '.join(used)}"] * bool(used)


def _package(function: Any) -> str:
    return str(function.__module__).partition(".")[0]


def _plain(function: Callable[..., Any], defaults: bool) -> ast.stmt:
    """A function's syntax tree without decorators, docstrings and annotations."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        node.decorator_list, node.returns = [], None
        if ast.get_docstring(node) is not None:
            del node.body[0]
        node.body = [
            one for one in node.body if not (isinstance(one, ast.AnnAssign) and one.value is None)
        ]
        arguments = node.args
        for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            one.annotation = None
        if not defaults:
            arguments.defaults, arguments.kw_defaults = [], [None] * len(arguments.kwonlyargs)
        elif not all(isinstance(one, ast.Constant) for one in arguments.defaults):
            arguments.defaults = []
    return tree.body[0]


def keywords(function: Callable[..., Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The known arguments that a function takes."""
    params = inspect.signature(function).parameters
    if any(param.kind is param.VAR_KEYWORD for param in params.values()):
        return {name: known[name] for name in known if name in params or name not in INPUTS}
    return {name: known[name] for name in params if name in known}


def torch_call(call: Call, counts: int, lr: float, *, nested: bool = False) -> str:
    """A call of torch's class, its optimizer filled in; `counts` calls of `step()` is what an
    expression means by `epochs`. A nested one stays on one line."""
    rows = [] if call.name == "ChainedScheduler" else ["optimizer"]
    arguments = arguments_of(call, counts, lr)
    if call.arguments.get("cycle_momentum") and not nested:
        arguments["cycle_momentum"] = None
    for name, value in arguments.items():
        if name == "schedulers":
            pairs = zip(value, nested_counts(call, counts), strict=True)
            inner = [torch_call(part, own, lr, nested=nested) for part, own in pairs]
            rows.append(f"{name}={_listed(inner, '[', ']', nested)}")
        elif name == "cycle_momentum" and value is None:
            rows.append(f"{name}=cycles_momentum")
        elif isinstance(value, Formula):
            rows.append(f"{name}=lambda epoch: {of_count(value, counts)}")
        else:
            whole = name == "T_max" and float(value).is_integer()
            rows.append(f"{name}={int(value) if whole else value_code(value)}")
    return call.name + _listed(rows, "(", ")", nested)


def _listed(items: list[str], begin: str, end: str, nested: bool) -> str:
    short = begin + ", ".join(items) + end
    if nested or (len(short) <= WIDTH and "\n" not in short):
        return short
    inner = "".join(textwrap.indent(f"{item},\n", "    ") for item in items)
    return f"{begin}\n{inner}{end}"


def python_text(formula: Formula) -> str:
    """An expression as Python code.

    >>> python_text(Formula("max(0.1, sqrt(progress))"))
    'max(0.1, math.sqrt(progress))'
    """
    text = ast.unparse(ast.parse(formula.text.strip(), mode="eval"))
    return re.sub(rf"\b({IN_MATH})(?=\()|\bpi\b", r"math.\g<0>", text)


def of_count(formula: Formula, counts: int) -> str:
    """An expression as Python code of `epoch`, the number of calls of `step()`."""
    names = {"step": "epoch", "steps": str(counts), "epochs": str(counts)}
    names["progress"] = f"(epoch / {counts})"
    pattern = rf"\b({'|'.join(names)})\b"
    return re.sub(pattern, lambda found: names[found[0]], python_text(formula))


def value_code(value: Any) -> str:
    """A value as Python code; an expression as a lambda."""
    if isinstance(value, Formula):
        return f"lambda {', '.join(CLOCK_NAMES)}: {python_text(value)}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(value_code, value))
        return f"[{inner}]"
    if isinstance(value, str):
        return f'"{value}"'
    return literal(value)


def literal(value: Any) -> str:
    """A number without the rounding error of a multiplication.

    >>> literal(0.1 * 3), literal(1 / 3), literal(5), literal(None)
    ('0.3', '0.3333333333333333', '5', 'None')
    """
    return repr(neat(value)) if isinstance(value, float) else repr(value)


def neat(value: float) -> float:
    """The value itself, or a much shorter number next to it."""
    near = float(f"{value:.15g}")
    return near if len(repr(near)) < len(repr(value)) - 3 else value
