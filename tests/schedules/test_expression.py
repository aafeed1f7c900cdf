"""Expressions: Python's values for what is allowed, and nothing else at all."""

import gc
import math
import random
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from lrbench.errors import UsageError
from lrbench.schedules import parse
from lrbench.schedules.expression import CLOCK_NAMES, Formula, compiled

VARIABLES = {"step": 37.0, "steps": 100.0, "epoch": 3.7, "epochs": 10.0, "progress": 0.37}

ALLOWED = [
    "1", "-2.5", "+3", "1e-3", "pi", "step", "1 + 2*3 - 4/5", "7 // 2 + 7 % 4", "2**10", "-2**2",
    "0.95**epoch", "1 if epoch < 5 else 0.1", "0.1 if 1 < epoch <= 3 else 0.2",
    "(epoch < 5) * 0.5 + (epoch >= 5) * 0.1", "epoch < 5 and 0.3 or 0.7", "not epoch",
    "min(1, step/10, 3)", "max(0, 1-progress)", "abs(-3)", "sqrt(2)", "exp(-progress)",
    "log(10)", "log(8, 2)", "sin(pi*progress)", "cos(1)", "tan(1)", "floor(epoch)", "ceil(epoch)",
    "0.5*(1+cos(pi*step/steps))", "epoch == 3.7", "epoch != 3.7", "pow(epoch, 2)", "0x10",
    "1 and 0 or 5", "0 or 0", "1 < 2 < 3 != 4",
]  # fmt: skip


@pytest.mark.parametrize("text", ALLOWED)
def test_same_value_as_in_python(text: str) -> None:
    expected = eval(text, {**vars(math), **VARIABLES})  # our own texts, above
    assert Formula(text).at(VARIABLES) == float(expected)


FORBIDDEN = [
    "__import__('os').system('touch x')", "open('/etc/passwd').read()", "step.__class__",
    "().__class__.__bases__[0].__subclasses__()", "[open][0]('x')", "eval('1')",
    "exec('import os')", "getattr(step, 'real')", "globals()['os']", "step[0]", "epoch.real()",
    "sqrt.__globals__['os']", "compile('1', 'x', 'eval')", "breakpoint()", "input()",
    "(lambda: open('x'))()", "[open(x) for x in 'ab'][0]", "print(step)", "sin(1).imag",
]  # fmt: skip
REFUSED = [
    *FORBIDDEN, "", "1 +", "foo", "lambda: 1", "[x for x in (1, 2)]", "{1: 2}", "(1, 2)", "'text'",
    "f'{step}'", "True", "None", "1j", "(x := 1)", "1 @ 2", "1 << 5", "1 | 2", "~1", "1 in 2",
    "1 is 1", "sqrt", "sqrt()", "sqrt(1, 2)", "sqrt(x=1)", "min(1)", "max(*[1])", "log(1, 2, 3)",
    "floor(1)(2)", "pow(2)", "1_000", "1_0*2", "\uff11", "0.\uff11", "\uff45poch", "9**9**9",
    "2**1001", "0.5**-2000", "9**(9*9*9*9)", "1e400", "1 if 2", "9" * 400, "await step", "...",
    "b'x'", "\x00", "if", "(" * 250 + "1" + ")" * 249,
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_all_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        compiled(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 + flor(epoch)", "column 5: unknown function 'flor'; did you mean floor"),
        ("1 + epohc", "column 5: unknown name 'epohc'; did you mean epoch"),
        ("epoch.real", "column 1: attribute is not allowed"),
        ("2 * 'a'", "column 5: the value 'a' is not allowed"),
        ("1 +", "cannot be parsed"),
        ("2**5000", "an exponent may be at most 1000"),
        ("1+" * 250 + "1", "500 characters"),
        ("-" * 200 + "1", "nested too deeply"),
    ],
)
def test_says_what_is_wrong_and_where(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        compiled(text)


@pytest.mark.parametrize("text", ["1/0", "sqrt(-1)", "log(0)", "(-1)**0.5", "step**step**9",
                                  "exp(step*1000)", "1 % 0", "floor(1e308*10)"])  # fmt: skip
def test_what_has_no_value_is_not_a_number(text: str) -> None:
    assert math.isnan(Formula(text).at(VARIABLES))


def test_names_of_the_clock() -> None:
    bound = parse('expr("step + 1000*epoch")').bind(1.0, 70, 7)
    assert bound.lr(14) == 14 + 2000
    assert parse('expr("steps + epochs")').bind(1.0, 70, 7).lr(0) == 80
    late = parse('constant(20it) + expr("progress")').bind(1.0, 70, 7)
    assert [late.lr(step) for step in (20, 45, 69)] == pytest.approx([0, 0.5, 0.98])


# Generated expressions, and what the interpreter is asked to do meanwhile.

WATCHED = ("open", "exec", "import", "socket", "subprocess", "os.", "shutil.", "ctypes", "pty")
events: list[str] | None = None


def hook(event: str, arguments: object) -> None:
    if events is not None and event.startswith(WATCHED):
        events.append(event)


sys.addaudithook(hook)  # for good: there is no way to take a hook back


@contextmanager
def audited() -> Iterator[list[str]]:
    """The events of the block that touch files, processes, modules or the net."""
    global events
    events = seen = []
    try:
        yield seen
    finally:
        events = None


FUNCTIONS = ["abs", "sqrt", "exp", "log", "sin", "cos", "tan", "floor", "ceil"]


def allowed_text(rng: random.Random, depth: int = 3) -> str:
    if depth == 0 or rng.random() < 0.2:
        return rng.choice([*CLOCK_NAMES, "pi", f"{rng.random():.3f}", str(rng.randint(0, 9))])
    a, b, c = (allowed_text(rng, depth - 1) for _ in range(3))
    operation, function = rng.choice(["+", "-", "*", "/", "//", "%", "**"]), rng.choice(FUNCTIONS)
    return rng.choice([
        f"({a} {operation} {b})", f"({a} if {b} < {c} else {c})", f"({a} and not {b} or {c})",
        f"min({a}, {b})", f"max({a}, {b}, {c})", f"{function}({a})", f"-{a}",
    ])  # fmt: skip


def generated(rng: random.Random, index: int) -> str:
    """Half are allowed; a quarter hold attributes, calls or subscripts; a quarter are broken."""
    text = next(text for text in iter(lambda: allowed_text(rng), "") if len(text) <= 500)
    if index % 4 == 1:
        places = ["{0} + {1}", "{1} * {0}", "{0} if {1} else 1", "max({1}, {0})"]
        return rng.choice(places).format(rng.choice(FORBIDDEN), text)
    place = rng.randrange(len(text) + 1)
    broken = rng.choice([" @ ", ")(", "$", "''", ",", " foo ", "!"]) if index % 2 else ""
    return text[:place] + broken + text[place:]


@pytest.mark.parametrize("count", [4_000, pytest.param(200_000, marks=pytest.mark.soak)])
def test_generated_expressions_touch_nothing_and_take_no_time(count: int) -> None:
    rng = random.Random(0)
    texts = [generated(rng, index) for index in range(count)]
    compiled("step + min(1, 2)")  # what is imported at the first use has been imported now
    parse('expr("1")')
    read, slowest_s = 0, 0.0
    gc.collect()
    gc.freeze()  # no expression pays for a walk over all of the others
    with audited() as seen:
        for index, text in enumerate(texts):
            began = time.thread_time()
            try:
                if index % 10:
                    compiled(text)
                    Formula(text).at(VARIABLES)
                else:
                    parse(f'expr("{text}")').bind(0.1, 100, 10).lr(7)
                read += 1
                assert index % 4 != 1, text
            except UsageError as fault:
                assert index % 2 or "exponent" in str(fault), text
            slowest_s = max(slowest_s, time.thread_time() - began)
    gc.unfreeze()
    assert seen == []
    assert slowest_s < 0.05
    assert 0.4 * count < read < 0.7 * count


@pytest.mark.parametrize(
    "text",
    ["1" + "+1" * 249, "-" * 499 + "1", "9" * 500, "(" * 250 + "1" + ")" * 249, "9**" * 166 + "9",
     "max(" + "step," * 98 + "1)", "2**1000*" * 70 + "1"],
)  # fmt: skip
def test_no_text_takes_much_memory(text: str) -> None:
    assert len(text) <= 570
    tracemalloc.start()
    try:
        with suppress(UsageError):
            Formula(text).at(VARIABLES)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_the_audit_sees() -> None:
    with audited() as seen:
        open(__file__).close()
    assert "open" in seen
