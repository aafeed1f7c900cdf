"""Python source for functions, values and calls of torch's classes, as printed by `code`."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

from lrbench.schedules.definitions import SCHEDULES
from lrbench.schedules.expression import CLOCK_NAMES, IN_MATH, Formula
from lrbench.schedules.spec import Call
from lrbench.schedules.torch_names import arguments_of, nested

WIDTH = 66  # of arguments on one line
LONG = 12  # characters; longer numbers are written as fractions if possible


@dataclass
class Snippet:
    """Code under construction: when to step the scheduler, its body, the functions printed above
    the body, and the imports they need."""

    usage: str
    body: str = ""
    texts: list[str] = field(default_factory=list)
    lines: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)  # of the texts, by key

    def call(self, curve: partial[Any], first: str) -> str:
        """Code that calls a function with its numbers filled in. Prints the function above, without
        the branches that its arguments rule out."""
        function = inspect.unwrap(curve.func)
        tree, used = _for_arguments(_plain(function, defaults=False), curve.keywords)
        shown = [f"{key}={value_code(curve.keywords[key])}" for key in used if key != "t"]
        shown = [first, *shown] if "t" in used else shown
        return f"{self._print(tree, function)}({', '.join(shown)})"

    def add(self, function: Callable[..., Any]) -> None:
        """Print a function, preceded by everything it uses."""
        function = inspect.unwrap(function)
        self._print(_plain(function, defaults=True), function)

    def _print(self, tree: ast.FunctionDef, function: Callable[..., Any]) -> str:
        """Print a function and return its name; further versions of it are numbered."""
        given = {one.arg for one in ast.walk(tree) if isinstance(one, ast.arg)}
        for name in sorted(_names(tree) - given - {tree.name}):
            if name in function.__globals__:
                self._add_global(name, function.__globals__[name], function)
        head = f"def {tree.name}("
        before = sum(other.startswith(head) for other in self.names)
        name = f"{tree.name}_{before + 1}" if before else tree.name
        text = ast.unparse(tree)
        return self._once(text, name, text.replace(head, f"def {name}(", 1))

    def _add_global(self, name: str, value: Any, user: Callable[..., Any]) -> None:
        plain = inspect.unwrap(value) if callable(value) else value
        if isinstance(value, ModuleType):
            as_name = "" if value.__name__ == name else f" as {name}"
            self.lines.add(f"import {value.__name__}{as_name}")
        elif inspect.isfunction(plain) and _package(plain) == _package(user):
            self.add(plain)
        elif callable(value):
            self.lines.add(f"from {value.__module__} import {name}")
        else:
            self._once(name, name, f"{name} = {value!r}")

    def _once(self, key: str, name: str, text: str) -> str:
        """Print a text unless its key is known. Returns the name it is printed under."""
        if key not in self.names:
            self.names[key] = name
            self.texts.append(text)
        return self.names[key]

    def table(self, text: str) -> str:
        """Print a constant with this value and return its name."""
        name = f"ROWS_{1 + sum(name.startswith('ROWS_') for name in self.names.values())}"
        return self._once(text, name, f"{name} = {text}")

    def users(self, call: Call, shown: list[str]) -> str:
        """Code that calls the user's own `module:attribute`. Adds the import."""
        self.lines.add(f"import {call.name.partition(':')[0]}")
        shown += [f"{name}={value!r}" for name, value in call.args]
        return f"{call.name.replace(':', '.')}({', '.join(shown)})"

    def imports(self, text: str) -> list[str]:
        """The import lines that the text needs, torch's last."""
        known = {entry.name for entry in SCHEDULES if entry.make.of_torch}
        used = sorted(known & set(re.findall(r"\w+", text)))
        math = {"import math"} if re.search(r"\bmath\.", text) else set()
        plain = sorted(self.lines | math)
        return plain + [f"from torch.optim.lr_scheduler import {', '.join(used)}"] * bool(used)


def _package(function: Any) -> str:
    return str(function.__module__).partition(".")[0]


def _names(tree: ast.AST, context: type = ast.Load) -> set[str]:
    """The names read in a tree or, with `ast.Store`, assigned."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return {node.id for node in found if isinstance(node.ctx, context)}


def _plain(function: Callable[..., Any], defaults: bool) -> ast.FunctionDef:
    """A function's syntax tree without decorators, docstrings and annotations."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        if not isinstance(node, ast.FunctionDef):
            continue
        node.decorator_list, node.returns = [], None
        if ast.get_docstring(node) is not None:
            del node.body[0]
        node.body = [
            one for one in node.body if not (isinstance(one, ast.AnnAssign) and one.value is None)
        ]
        if not defaults:
            node.args.defaults, node.args.kw_defaults = [], [None] * len(node.args.kwonlyargs)
    found = tree.body[0]
    assert isinstance(found, ast.FunctionDef)
    return found


def _for_arguments(
    tree: ast.FunctionDef, known: Mapping[str, Any]
) -> tuple[ast.FunctionDef, list[str]]:
    """The function without the branches that its arguments rule out, and the arguments it still
    reads."""
    assigned = _names(tree, ast.Store)
    fixed = {
        name: value
        for name, value in known.items()
        if name not in assigned and (value is None or isinstance(value, str | int | float))
    }
    _Decide(fixed).visit(tree)
    read, arguments = _names(tree) | {"t"}, tree.args
    arguments.args = [one for one in arguments.args if one.arg in read]
    arguments.kwonlyargs = [one for one in arguments.kwonlyargs if one.arg in read]
    arguments.kw_defaults = [None] * len(arguments.kwonlyargs)
    left = {one.arg for one in (*arguments.args, *arguments.kwonlyargs)}
    return tree, [name for name in ("t", *known) if name in left]


class _Decide(ast.NodeTransformer):
    """Replaces each `if` that only tests known arguments with the branch taken."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self.known = known

    def decided(self, test: ast.expr) -> bool | None:
        match test:
            case ast.BoolOp(op=op, values=values):
                wins = isinstance(op, ast.Or)
                parts = [self.decided(value) for value in values]
                return wins if wins in parts else None if None in parts else not wins
            case ast.Compare(ast.Name(name), [sign], [ast.Constant(value)]) if name in self.known:
                same = self.known[name] == value
                return {ast.Eq: same, ast.Is: same, ast.IsNot: not same}.get(type(sign))
        return None

    def visit_If(self, node: Any) -> Any:
        decided = self.decided(node.test)
        self.generic_visit(node)
        if decided is None:
            node.body = node.body or [ast.Pass()]
            return node
        return node.body if decided else node.orelse

    visit_IfExp = visit_If


def torch_call(call: Call, counts: int, lr: float, *, one_line: bool = False) -> str:
    """Code that creates a torch scheduler for `optimizer`. `counts`, the number of `step()` calls,
    stands for `epochs` in expressions."""
    rows = [] if call.name == "ChainedScheduler" else ["optimizer"]
    arguments = arguments_of(call, counts, lr)
    if cycles := call.arguments.get("cycle_momentum") and not one_line:
        arguments["cycle_momentum"] = True
    for name, value in arguments.items():
        if name == "schedulers":
            parts = nested(call, counts)
            inner = [torch_call(part, own, lr, one_line=one_line) for part, own in parts]
            rows.append(f"{name}={_listed(inner, '[', ']', one_line)}")
        elif name == "cycle_momentum" and cycles:
            rows.append(f"{name}=cycles_momentum")
        elif isinstance(value, Formula):
            rows.append(f"{name}=lambda epoch: {of_count(value, counts)}")
        else:
            whole = name == "T_max" and float(value).is_integer()
            rows.append(f"{name}={int(value) if whole else value_code(value)}")
    return call.name + _listed(rows, "(", ")", one_line)


def _listed(items: list[str], begin: str, end: str, one_line: bool) -> str:
    short = begin + ", ".join(items) + end
    if one_line or (len(short) <= WIDTH and "\n" not in short):
        return short
    inner = "".join(textwrap.indent(f"{item},\n", "    ") for item in items)
    return f"{begin}\n{inner}{end}"


def python_text(formula: Formula) -> str:
    """An expression as Python code.

    >>> python_text(Formula("max(0.1, sqrt(progress))"))
    'max(0.1, math.sqrt(progress))'
    """
    text = ast.unparse(ast.parse(formula.text.strip(), mode="eval"))
    return re.sub(rf"\b({'|'.join(IN_MATH)})(?=\()|\bpi\b", r"math.\g<0>", text)


def of_count(formula: Formula, counts: int) -> str:
    """An expression as Python code in `epoch`, the number of `step()` calls."""
    names = {"step": "epoch", "steps": str(counts), "epochs": str(counts)}
    names["progress"] = f"(epoch / {counts})"
    pattern = rf"\b({'|'.join(names)})\b"
    return re.sub(pattern, lambda found: names[found[0]], python_text(formula))


def value_code(value: Any) -> str:
    """A value as Python code: an expression becomes a lambda, 0.0588… a fraction.

    >>> value_code([0.5, 1 / 17])
    '[0.5, 1 / 17]'
    """
    if isinstance(value, Formula):
        return f"lambda {', '.join(CLOCK_NAMES)}: {python_text(value)}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(value_code, value))
        return f"[{inner}]"
    if isinstance(value, str):
        return f'"{value}"'
    text = literal(value)
    if len(text) > LONG and 0 < value < 1 and 1 / round(1 / value) == value:
        return f"1 / {round(1 / value)}"
    return text


def literal(value: Any) -> str:
    """A number as Python code, without floating-point noise.

    >>> literal(0.1 * 3), literal(1 / 3), literal(5), literal(None)
    ('0.3', '0.3333333333333333', '5', 'None')
    """
    text = repr(value)
    near = repr(float(f"{value:.15g}")) if isinstance(value, float) else text
    return near if len(near) < len(text) - 3 else text
