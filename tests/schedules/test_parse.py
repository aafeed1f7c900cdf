"""The grammar: what parses, what prints, where the faults are; several schedules in one text."""

import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lrbench.errors import UsageError
from lrbench.options import CompareSpec
from lrbench.schedules import Length, Level, expand, parse, stretched, variants
from lrbench.schedules.tokens import MAX_LENGTH

CANONICAL = {
    "cosine": "cosine", " cosine ( min = 0 ) ": "cosine", "step(30ep, gamma=0.1)": "step(30ep)",
    "step(30)": "step(30ep)", "step(size=30, gamma=0.50)": "step(30ep, gamma=0.5)",
    "step(30, 0.2)": "step(30ep, gamma=0.2)", "cosine(min=1e-5)": "cosine(min=1e-5)",
    "cosine(1%)": "cosine(min=1%)", "warmup(5%)+cosine": "warmup + cosine",
    "multistep([50%,75%,])": "multistep",
    "multistep(milestones=[30, 60])": "multistep([30ep, 60ep])",
    "3*( warmup(2%,from=0)+cosine(duration=30%))": "3*(warmup(2%, from=0) + cosine(duration=30%))",
    "2*(3*(linear(duration=5%)))+cosine": "2*(3*(linear(duration=5%))) + cosine",
    'expr("1 if epoch < 50 else 0.1")': 'expr("1 if epoch < 50 else 0.1")',
    "expr('  0.95**epoch ')": 'expr("0.95**epoch")', "cosine(update=epoch)": "cosine(update=epoch)",
    "cosine(update=step)": "cosine",
    "onecycle(peak_at=30%, anneal=linear)": "onecycle(anneal=linear)",
    'onecycle(anneal="linear")': "onecycle(anneal=linear)",
    "plateau(val_accuracy, patience=3)": "plateau(val_accuracy, patience=3)",
    "plateau(mode=None)": "plateau",
    "my.module:schedules.wave(width=3, name='a \"b\" \\\\', deep=[1, 2.5, True, None])":
        'my.module:schedules.wave(deep=[1, 2.5, True, None], name="a \\"b\\" \\\\", width=3)',
}  # fmt: skip


@pytest.mark.parametrize("text", CANONICAL)
def test_canonical_text(text: str) -> None:
    schedule = parse(text)
    assert str(schedule) == CANONICAL[text]
    assert parse(str(schedule)) == schedule
    assert hash(parse(str(schedule))) == hash(schedule)


FAULTS = {
    # spec -> (column, what the message says)
    "": (1, "the name of a schedule"), "cosin": (1, "did you mean cosine"),
    "cosine(mni=1)": (8, "did you mean min?"), "step(30": (8, "',' or '\\)' was expected"),
    "expr(1 - progress)": (8, "an expression goes in quotes"),
    "step(30))": (9, "where \\+ or the end"), "step(0.05)": (6, "did you mean 5%\\?"),
    "warmup(2.5) + cosine": (8, "did you mean 2.5ep\\?"), "step(0)": (6, "must be above 0"),
    "warmup(-5)": (8, "must be at least 0"), "step(30\uff10)": (8, "unexpected"),
    "cosine * plateau": (1, "cannot be a factor"),
    "StepLR(3) * StepLR(5)": (1, "cannot be a factor"),
    "cosine(duration=5%) * linear(clock=run)": (1, "only one factor"),
    "step(30epochs)": (8, "unknown unit 'epochs'"), "step(30ep, gamma=-1)": (18, "at least 0"),
    "step(30ep, gamma=2%)": (18, "a plain number, not 2%"), "step(1e999)": (6, "must be finite"),
    "cosine(min=-1e-5)": (12, "must not be negative"),
    "plateau(factor=1)": (16, "above 0 and below 1"),
    "cosine(min=linear)": (12, "a learning rate"), "multistep(30)": (11, "must be a list"),
    "onecycle(anneal=cosine)": (17, "did you mean cos"),
    "cosine(update=batch)": (15, "update cannot be 'batch'"),
    "step(30, size=20)": (10, "size is given twice"),
    "step(size=20, 30)": (15, "name for this value"), "rex(1, 2)": (8, "name for this value"),
    "cosine + linear": (1, "write cosine\\(duration=30%\\)"),
    "plateau + cosine": (1, "may only come last"),
    "plateau(duration=5%)": (9, "no parameter 'duration'"),
    "warmup(5%, duration=5%)": (12, "no parameter 'duration'"),
    "0*(linear(duration=5%))": (1, "at least 1"), "0.1": (1, "is not a schedule"),
    "3*linear": (3, "'\\(' was expected"),
    "9999*(9999*(linear(duration=1it)))": (1, "at most 10000 phases"),
    'expr("open(1)")': (1, "unknown function 'open'"),
    "expr(epoch)": (6, "an expression in quotes"), 'cosine(min="1)': (12, "no closing quote"),
    "cosine(min=1; drop)": (13, "unexpected ';'"), "cosine\u00b2": (7, "unexpected"),
    "folder:pics": (1, "--dataset"), "torchvision:resnet18": (1, "--model"),
    "my.module:wave(3)": (16, "write NAME=VALUE"),
}  # fmt: skip


@pytest.mark.parametrize("text", FAULTS)
def test_faults_say_where_and_what(text: str) -> None:
    column, words = FAULTS[text]
    with pytest.raises(UsageError, match=words) as caught:
        parse(text)
    message = str(caught.value)
    assert "\n" not in message
    assert f"column {column}: " in message


def test_too_long_or_too_deep_is_refused() -> None:
    with pytest.raises(UsageError, match="4000 characters"):
        parse("a" * (MAX_LENGTH + 1))
    with pytest.raises(UsageError, match="nested too deeply"):
        parse("1*(" * 50 + "linear" + ")" * 50)
    with pytest.raises(UsageError, match="nested too deeply"):
        parse("multistep(" + "[" * 50 + "]" * 50 + ")")
    with pytest.raises(UsageError) as caught:
        parse("cosine" + " + cosine" * 400)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("values", [{"lr": 0}, {"lr": -1}, {"lr": float("nan")},
                                    {"lr": float("inf")}, {"steps": 0}, {"steps": 1.5},
                                    {"steps_per_epoch": 0}])  # fmt: skip
def test_impossible_runs_are_refused(values: dict[str, float]) -> None:
    run = {"lr": 0.1, "steps": 10, "steps_per_epoch": 5, **values}
    with pytest.raises(UsageError):
        parse("cosine").bind(**run)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no step -1"):
        parse("cosine").bind(0.1, 10, 5).lr(-1)


# Specs by the grammar, from the values that each type allows.

numbers = st.floats(1e-6, 1e6).map(lambda value: float(f"{value:.6g}"))
lengths = st.one_of(
    st.integers(1, 500).map(lambda amount: Length(amount, "ep")),
    st.integers(1, 10**6).map(lambda amount: Length(amount, "it")),
    numbers.map(lambda amount: Length(amount, "%")),
)
levels = st.builds(Level, numbers, st.booleans())
calls = st.one_of(
    st.builds("step({}, gamma={:g})".format, lengths, numbers),
    st.builds("cosine(min={}, power={})".format, levels, numbers),
    st.builds("sgdr({}, mult={}, decay={})".format, lengths, st.integers(1, 9), numbers),
    st.builds("exponential(gamma={})".format, numbers),
    st.builds("triangular2(half={}, min={})".format, lengths, levels),
    st.builds(
        "onecycle(peak_at={}, anneal={}, cycle_momentum={})".format,
        lengths, st.sampled_from(["cos", "linear"]), st.booleans(),
    ),
    st.builds("multistep([{}, {}], update=epoch)".format, st.integers(1, 9), st.integers(10, 99)),
    st.builds('expr("{} * {}**progress")'.format, numbers, numbers),
)  # fmt: skip
timed = st.one_of(
    st.builds("warmup({}, from={})".format, lengths, levels),
    st.builds("constant({}, at={})".format, lengths, levels),
    st.builds("polynomial(power={}, duration={})".format, numbers, lengths),
)
phases = st.recursive(
    timed,
    lambda inner: st.one_of(
        st.builds("{} + {}".format, inner, timed),
        st.builds("{}*({})".format, st.integers(1, 3), inner),
    ),
    max_leaves=6,
)
specs = st.one_of(calls, phases, st.builds("{} + {}".format, phases, calls))


@given(specs)
@settings(max_examples=120, deadline=None)
def test_parse_and_print_are_inverse(text: str) -> None:
    schedule = parse(text)
    assert parse(str(schedule)) == schedule
    assert str(parse(str(schedule))) == str(schedule)


@given(st.text(alphabet=string.printable, max_size=60) | st.text(max_size=30))
@example("A:A@\r")
@settings(max_examples=200, deadline=None)
def test_any_text_parses_or_is_refused_in_one_line(text: str) -> None:
    try:
        schedule = parse(text)
    except UsageError as fault:
        assert len(str(fault).splitlines()) == 1
    else:
        assert parse(str(schedule)) == schedule


@given(specs, st.data())
@settings(max_examples=120, deadline=None)
def test_a_damaged_spec_parses_or_is_refused_in_one_line(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    mark = data.draw(st.sampled_from(["", "(", ")", "[", "+", "=", '"', "%", "ep", ",", "9", "-"]))
    test_any_text_parses_or_is_refused_in_one_line.hypothesis.inner_test(  # type: ignore[attr-defined]
        text[:place] + mark + text[place + 1 :]
    )


def test_a_spec_may_name_its_learning_rate() -> None:
    found = parse("warmup(5%) + cosine@5e-2")
    assert str(found) == "warmup + cosine @ 0.05" and found.fixed_lr == 0.05
    assert parse(str(found)) == found != parse("warmup(5%) + cosine")
    assert str(stretched(parse("step(4) @ 0.1"), 0.5)) == "step(2ep) @ 0.1"
    for text in ("cosine @", "cosine @ x", "cosine @ 0", "cosine @ inf", "cosine @ -1"):
        with pytest.raises(UsageError, match="@ is followed by a learning rate"):
            parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("warmup({0,1,5}%) + cosine", [f"warmup({n}%) + cosine" for n in (0, 1, 5)]),
        ("cosine(min={0, 1%})", ["cosine(min=0)", "cosine(min=1%)"]),
        ("{cosine,linear(to=1%, duration=5ep)}", ["cosine", "linear(to=1%, duration=5ep)"]),
        ("{a,b}{1,2}", ["a1", "a2", "b1", "b2"]),
        ("{a,{b,c}d}", ["a", "bd", "cd"]),
        ("multistep([{1,2}ep])", ["multistep([1ep])", "multistep([2ep])"]),
        ("expr('{1,2}')", ["expr('{1,2}')"]),
    ],
)
def test_braces_multiply(text: str, expected: list[str]) -> None:
    assert expand(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [("cosine(min={0,1%)", "column 12 is not closed"), ("{1,2}" * 9, "more than 200")],
)
def test_faults_of_braces(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        expand(text)


def test_the_option_takes_them() -> None:
    spec = CompareSpec(schedules=["warmup({0,5}%) + cosine", "cosine(min={0,1%})", "cosine()"])
    assert spec.schedules == ("warmup(0%) + cosine", "warmup + cosine", "cosine", "cosine(min=1%)")


def test_what_differs_in_one_value_comes_together_rising() -> None:
    names = [str(parse(one)) for one in expand("warmup({10,0,1}%) + cosine(min={0,1%})")]
    lengths, *_, floors = variants([*names, "linear"])
    assert lengths.parameter == "length of warmup"
    assert list(lengths.values.values()) == ["0%", "1%", "10%"]
    assert lengths.amounts == (0, 1, 10)
    assert floors.parameter == "min of cosine" and floors.amounts == (0, 1)
    assert len(variants([*names, "linear"])) == 5
    (times,) = variants(["2*(linear(duration=1ep))", "3*(linear(duration=1ep))"])
    assert times.parameter == "repetitions" and times.amounts == (2, 3)


def test_values_of_several_units_have_no_amounts() -> None:
    (found,) = variants(["warmup(1ep) + linear", "warmup(10%) + linear"])
    assert found.amounts == () and set(found.values.values()) == {"1ep", "10%"}
