"""Expressions in specs, compiled from a whitelist of operators and functions, never `eval`."""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

from lrbench.errors import UsageError
from lrbench.registry import did_you_mean

MAX_CHARACTERS = 500
MAX_DEPTH = 50
MAX_POWER = 1000.0
CLOCK_NAMES = ("step", "steps", "epoch", "epochs", "progress")

Variables = Mapping[str, float]
Term = Callable[[Variables], float]

FUNCTIONS: dict[str, tuple[Callable[..., float], int, int]] = {
    "min": (min, 2, 99),
    "max": (max, 2, 99),
    "abs": (abs, 1, 1),
    "sqrt": (math.sqrt, 1, 1),
    "exp": (math.exp, 1, 1),
    "log": (math.log, 1, 2),
    "sin": (math.sin, 1, 1),
    "cos": (math.cos, 1, 1),
    "tan": (math.tan, 1, 1),
    "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1),
}
BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,  # no complex numbers, and floats only
}
COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


@dataclass(frozen=True)
class Formula:
    """An expression of the clock's names, such as `0.95**epoch`.

    >>> Formula("1 if epoch < 50 else 0.1").at({"epoch": 60})
    0.1
    """

    text: str

    def __call__(self, *values: float) -> float:
        """Its value for the values of CLOCK_NAMES, in their order."""
        return self.at(dict(zip(CLOCK_NAMES, map(float, values), strict=True)))

    def at(self, variables: Variables) -> float:
        """Its value, NaN where it has none (a division by zero, the root of a negative number)."""
        try:
            return float(compiled(self.text)(variables))
        except (ZeroDivisionError, ValueError, OverflowError):
            return math.nan

    def __str__(self) -> str:
        escaped = self.text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'


@lru_cache(maxsize=256)
def compiled(text: str, names: Collection[str] = CLOCK_NAMES) -> Term:
    """The expression as a function of its names.

    Numbers, + - * / // % **, comparisons, `A if B else C`, and, or, not, pi and the functions
    min, max, abs, sqrt, exp, log, sin, cos, tan, floor, ceil. All numbers are floats, so that a
    power takes one machine operation.

    Raises:
        UsageError: something else is in it, or it is too long, too deep, or has too high a power.
    """
    tree = _syntax_tree(text)
    return _Compiler(text, frozenset(names)).term(tree, 0)


def _syntax_tree(text: str) -> ast.expr:
    if len(text) > MAX_CHARACTERS:
        raise UsageError(f"an expression may have {MAX_CHARACTERS} characters, not {len(text)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as fault:
        column = f", column {fault.offset}" if fault.offset else ""
        raise UsageError(f"expression {text!r}{column}: it cannot be read") from None
    except (ValueError, RecursionError, MemoryError):
        raise UsageError(f"expression {text[:40]!r}: it cannot be read") from None


class _Compiler:
    """Turns each allowed node into a closure, and refuses all others."""

    def __init__(self, text: str, names: frozenset[str]) -> None:
        self.text = text
        self.names = names

    def fault(self, node: ast.AST, message: str, hint: str = "") -> UsageError:
        column = getattr(node, "col_offset", 0) + 1
        return UsageError(f"expression {self.text!r}, column {column}: {message}", hint=hint)

    def term(self, node: ast.expr, depth: int) -> Term:
        if depth > MAX_DEPTH:
            raise self.fault(node, "nested too deeply")
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self.constant(node, value)
            case ast.Name(id=name):
                return self.name(node, name)
            case ast.BinOp():
                return self.binary(node, depth + 1)
            case ast.UnaryOp():
                return self.unary(node, depth + 1)
            case ast.BoolOp():
                return self.boolean(node, depth + 1)
            case ast.Compare():
                return self.comparison(node, depth + 1)
            case ast.IfExp():
                return self.conditional(node, depth + 1)
            case ast.Call():
                return self.call(node, depth + 1)
        raise self.fault(node, f"{_kind(node)} is not allowed here", "use numbers and arithmetic")

    def constant(self, node: ast.expr, value: float) -> Term:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.fault(node, "a number must be finite")
        return lambda _: number

    def name(self, node: ast.expr, name: str) -> Term:
        if name == "pi":
            return lambda _: math.pi
        if name not in self.names:
            known = [*sorted(self.names), "pi", *FUNCTIONS]
            raise self.fault(node, f"unknown name {name!r}", did_you_mean(name, known))
        return lambda variables: variables[name]

    def binary(self, node: ast.BinOp, depth: int) -> Term:
        if type(node.op) not in BINARY:
            raise self.fault(node, f"{_kind(node.op)} is not allowed here")
        left, right = self.term(node.left, depth), self.term(node.right, depth)
        if isinstance(node.op, ast.Pow) and not _has_names(node.right):
            self.check_power(node.right, right)
        combine = BINARY[type(node.op)]
        return lambda variables: combine(left(variables), right(variables))

    def check_power(self, node: ast.expr, power: Term) -> None:
        """A power that is a plain number is bounded before anything runs."""
        try:
            value = abs(power({}))
        except (ZeroDivisionError, ValueError, OverflowError):
            value = math.inf
        if not value <= MAX_POWER:
            raise self.fault(node, f"a power may be {MAX_POWER:g} at most")

    def unary(self, node: ast.UnaryOp, depth: int) -> Term:
        inner = self.term(node.operand, depth)
        match node.op:
            case ast.UAdd():
                return inner
            case ast.USub():
                return lambda variables: -inner(variables)
            case ast.Not():
                return lambda variables: float(not inner(variables))
        raise self.fault(node, f"{_kind(node.op)} is not allowed here")

    def boolean(self, node: ast.BoolOp, depth: int) -> Term:
        first, *rest = [self.term(value, depth) for value in node.values]
        stops_at = isinstance(node.op, ast.Or)

        def evaluate(variables: Variables) -> float:
            value = first(variables)
            for term in rest:
                if bool(value) == stops_at:
                    return value
                value = term(variables)
            return value

        return evaluate

    def comparison(self, node: ast.Compare, depth: int) -> Term:
        terms = [self.term(side, depth) for side in (node.left, *node.comparators)]
        unknown = [sign for sign in node.ops if type(sign) not in COMPARE]
        if unknown:
            raise self.fault(node, f"{_kind(unknown[0])} is not allowed here")
        tests = [COMPARE[type(sign)] for sign in node.ops]

        def evaluate(variables: Variables) -> float:
            values = [term(variables) for term in terms]
            pairs = zip(tests, values, values[1:], strict=False)
            return float(all(test(left, right) for test, left, right in pairs))

        return evaluate

    def conditional(self, node: ast.IfExp, depth: int) -> Term:
        test, then, other = (self.term(part, depth) for part in (node.test, node.body, node.orelse))
        return lambda variables: then(variables) if test(variables) else other(variables)

    def call(self, node: ast.Call, depth: int) -> Term:
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            hint = did_you_mean(name, FUNCTIONS)
            raise self.fault(node, f"unknown function {name!r}" if name else "no such call", hint)
        function, least, most = FUNCTIONS[node.func.id]
        if node.keywords or not least <= len(node.args) <= most:
            raise self.fault(node, f"{node.func.id} takes other arguments")
        terms = [self.term(argument, depth) for argument in node.args]
        if len(terms) == 1:
            inner = terms[0]
            return lambda variables: function(inner(variables))
        return lambda variables: function(*[term(variables) for term in terms])


def _has_names(node: ast.expr) -> bool:
    """Whether the value depends on the clock."""
    functions = {id(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
    names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
    return any(name.id != "pi" and id(name) not in functions for name in names)


def _kind(node: ast.AST) -> str:
    """What a node is called where people read it."""
    words = {
        "Attribute": "an attribute", "Subscript": "a subscript", "Lambda": "a lambda",
        "ListComp": "a comprehension", "GeneratorExp": "a comprehension", "List": "a list",
        "Tuple": "a tuple", "Dict": "a dictionary", "NamedExpr": "an assignment",
        "JoinedStr": "a text", "Await": "await", "Starred": "a star",
    }  # fmt: skip
    if isinstance(node, ast.Constant):
        return f"the value {node.value!r:.40}"
    return words.get(type(node).__name__, type(node).__name__.lower())
