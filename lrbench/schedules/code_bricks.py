"""The bricks of formulas in Python: helper functions to print, and statements that use them."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from typing import Any

from lrbench.schedules.expression import FUNCTIONS, Formula
from lrbench.schedules.units import Clock, Intervals

Lines = list[str]
Numbers = dict[str, Any]
Body = Callable[[Numbers, Clock, float], Lines]

PIECE = '''
def piece(step, size, growth):
    """The index, the first step and the end of the piece of time that a step lies in."""
    def start(index):
        total = size * index if growth == 1 else size * (growth**index - 1) / (growth - 1)
        return math.floor(round(total, 9) + 0.5)

    index = 0
    while start(index + 1) <= step:
        index += 1
    return index, start(index), start(index + 1)
'''
TURN = '''
def turn(step, turns, cosine):
    """Along turns (until, begin, end, from, to), the first that is not over at this step."""
    begin, end, before, after = next(rest for until, *rest in turns if step <= until)
    x = min(1.0, (step - begin) / (end - begin)) if end > begin else 1.0
    x = (1 - math.cos(math.pi * x)) / 2 if cosine else x
    return before * (1 - x) + after * x
'''
HELPERS = {"piece(": PIECE, "turn(": TURN}


def returns(text: str) -> Lines:
    """The statement for an expression."""
    return [f"return {text}"]


def over(low: float, text: str) -> Lines:
    """From the LR `low`, as a share of the base LR, up to it as `text` goes from 0 to 1."""
    return returns(text if low == 0 else f"{low!r} + {1 - low!r} * ({text})")


def piece(cycles: Intervals) -> str:
    """The statement that finds the piece of time."""
    return f"index, start, end = piece(step, {cycles.size!r}, {cycles.growth!r})"


def turn(turns: Sequence[tuple[float, ...]], cosine: bool) -> Lines:
    """The statement for a curve of several turns, the last of which may go on for ever."""
    shown = ", ".join("(" + ", ".join(map(_number, each)) + ")" for each in turns)
    return returns(f"turn(step, [{shown}], cosine={cosine})")


def _number(value: float) -> str:
    return "math.inf" if value == math.inf else repr(value)


def clock_names(steps: int, *, step: str, epoch: str, epochs: float) -> dict[str, str]:
    """The code for each name that an expression may use, in a phase of so many steps."""
    progress = f"{step} / {steps}"
    return {
        "step": step, "steps": f"{steps}", "epoch": epoch, "epochs": f"{epochs}",
        "progress": progress,
    }  # fmt: skip


def inlined(formula: Formula, names: dict[str, str]) -> str:
    """An expression as Python code, each name replaced by the code for it.

    >>> inlined(Formula("max(0.1, sqrt(progress))"), {"progress": "step / 100"})
    'max(0.1, math.sqrt(step / 100))'
    """
    tree = ast.parse(formula.text.strip(), mode="eval").body
    return ast.unparse(ast.fix_missing_locations(_Inliner(names).visit(tree)))


class _Inliner(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self.names = {**names, "pi": "math.pi"}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.parse(self.names[node.id], mode="eval").body

    def visit_Call(self, node: ast.Call) -> ast.expr:
        function = str(getattr(node.func, "id", ""))
        values = [self.visit(argument) for argument in node.args]
        builtin = function in ("min", "max", "abs") or function not in FUNCTIONS
        name = function if builtin else f"math.{function}"
        return ast.Call(ast.parse(name, mode="eval").body, values, [])
