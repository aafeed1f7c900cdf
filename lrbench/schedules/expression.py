"""Expressions in specs, compiled from a whitelist of operators and functions, without `eval`."""

import ast
import math
import operator
import re
import sys
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce

from lrbench.errors import UsageError
from lrbench.registry import did_you_mean

MAX_CHARACTERS = 500
MAX_DEPTH = 50
MAX_POWER = 1000.0
UNDERSCORED = re.compile(r"\d\._|\d_\d")
CLOCK_NAMES = ("step", "steps", "epoch", "epochs", "progress")

Variables = Mapping[str, float]
Term = Callable[[Variables], float]

IN_MATH = ("sqrt", "exp", "log", "sin", "cos", "tan", "pow", "floor", "ceil")
FUNCTIONS: dict[str, Callable[..., float]] = {
    "min": min,
    "max": max,
    "abs": abs,
    **{name: getattr(math, name) for name in IN_MATH},
}
ARGUMENTS = {"min": (2, 99), "max": (2, 99), "log": (1, 2), "pow": (2, 2)}  # all others take one
OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,  # floats only, no complex numbers
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: lambda value: float(not value),
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
NO_VALUE = (ZeroDivisionError, ValueError, OverflowError)


@dataclass(frozen=True)
class Formula:
    """An expression of the clock's variables, such as `0.95**epoch`.

    >>> Formula("1 if epoch < 50 else 0.1").at({"epoch": 60})
    0.1
    """

    text: str

    def __call__(self, *values: float) -> float:
        """Its value for the values of CLOCK_NAMES, in that order."""
        return self.at(dict(zip(CLOCK_NAMES, map(float, values), strict=True)))

    def at(self, variables: Variables) -> float:
        """Its value; NaN where it is undefined (division by zero, root of a negative number)."""
        try:
            return float(compiled(self.text)(variables))
        except NO_VALUE:
            return math.nan

    def __str__(self) -> str:
        escaped = self.text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'


@lru_cache(maxsize=256)
def compiled(text: str, names: Collection[str] = CLOCK_NAMES) -> Term:
    """The expression as a function of its names.

    It may contain numbers, + - * / // % **, comparisons, `A if B else C`, and, or, not, pi and the
    functions min, max, abs, sqrt, exp, log, sin, cos, tan, pow, floor, ceil. All numbers are
    floats, so that a power takes one machine operation.

    Raises:
        UsageError: it contains anything else, is too long or too deep, or has too high a power.
    """
    if len(text) > MAX_CHARACTERS:
        raise UsageError(f"an expression has at most {MAX_CHARACTERS} characters, not {len(text)}")
    if not text.isascii() or UNDERSCORED.search(text):
        raise UsageError(f"expression {text!r}: write numbers with the digits 0 to 9 only")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
        offset = getattr(fault, "offset", None)
        column = f", column {offset}" if offset else ""
        raise UsageError(f"expression {text[:40]!r}{column}: cannot be parsed") from None
    return _Compiler(text, names).term(tree, 0)


@dataclass
class _Compiler:
    """Turns each allowed node into a closure and refuses all others."""

    text: str
    names: Collection[str]

    def fault(self, node: ast.AST, message: str, hint: str = "") -> UsageError:
        column = getattr(node, "col_offset", 0) + 1
        return UsageError(f"expression {self.text!r}, column {column}: {message}", hint=hint)

    def term(self, node: ast.expr, depth: int) -> Term:
        if depth > MAX_DEPTH:
            raise self.fault(node, "nested too deeply")

        def terms(*parts: ast.expr) -> list[Term]:
            return [self.term(part, depth + 1) for part in parts]

        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                if not abs(value) <= sys.float_info.max:
                    raise self.fault(node, "a number must be finite")
                number = float(value)
                return lambda _: number
            case ast.Name(id="pi"):
                return lambda _: math.pi
            case ast.Name(id=name):
                if name not in self.names:
                    hint = did_you_mean(name, [*sorted(self.names), "pi", *FUNCTIONS])
                    raise self.fault(node, f"unknown name {name!r}", hint)
                return lambda names: names[name]
            case ast.BinOp(left=left, op=op, right=right):
                combine, found = self.operator(node, op), terms(left, right)
                if isinstance(op, ast.Pow):
                    self.check_power(right, found[1])
                return _applied(combine, found)
            case ast.UnaryOp(op=op, operand=operand):
                return _applied(self.operator(node, op), terms(operand))
            case ast.Call():
                return _applied(self.function(node), terms(*node.args))
            case ast.BoolOp(op=ast.Or(), values=values):
                return reduce(lambda a, b: lambda names: a(names) or b(names), terms(*values))
            case ast.BoolOp(values=values):
                return reduce(lambda a, b: lambda names: a(names) and b(names), terms(*values))
            case ast.Compare(left=left, ops=ops, comparators=others):
                tests, found = [self.operator(node, op) for op in ops], terms(left, *others)
                pairs = [*zip(tests, found, found[1:], strict=False)]
                return lambda names: float(all(test(a(names), b(names)) for test, a, b in pairs))
            case ast.IfExp():
                test, then, other = terms(node.test, node.body, node.orelse)
                return lambda names: (then if test(names) else other)(names)
        raise self.fault(node, f"{_kind(node)} is not allowed here", "use numbers and arithmetic")

    def operator(self, node: ast.expr, sign: ast.AST) -> Callable[..., float]:
        if type(sign) not in OPERATORS:
            raise self.fault(node, f"{_kind(sign)} is not allowed here")
        return OPERATORS[type(sign)]

    def check_power(self, node: ast.expr, power: Term) -> None:
        """Check a constant exponent before anything runs."""
        try:
            value = abs(power({}))
        except KeyError:  # it depends on the clock
            return
        except NO_VALUE:
            value = math.inf
        if not value <= MAX_POWER:
            raise self.fault(node, f"an exponent may be at most {MAX_POWER:g}")

    def function(self, node: ast.Call) -> Callable[..., float]:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS:
            hint = did_you_mean(name, FUNCTIONS)
            raise self.fault(node, f"unknown function {name!r}" if name else "not a function", hint)
        least, most = ARGUMENTS.get(name, (1, 1))
        if node.keywords or not least <= len(node.args) <= most:
            raise self.fault(node, f"wrong arguments for {name}")
        return FUNCTIONS[name]


def _applied(function: Callable[..., float], terms: list[Term]) -> Term:
    return lambda names: function(*[term(names) for term in terms])


def _kind(node: ast.AST) -> str:
    """The name of a node in messages."""
    if isinstance(node, ast.Constant):
        return f"the value {node.value!r:.40}"
    return re.sub(r"(?<!^)(?=[A-Z])", " ", type(node).__name__).lower()
