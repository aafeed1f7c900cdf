import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.errors import UsageError
from lrbench.optimizers.groups import GroupSpec, assign, parse_group, parse_groups

STEPS, OWN = "warmup(10%) + step(30ep, gamma=0.5)", 'expr("1 if epoch < 5 else (0)")'
NAMES = ["0.weight", "0.bias", "head.weight", "head.bias"]


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("head* lr=10x", GroupSpec("head*", lr_factor=10)),
        ("head* lr=0", GroupSpec("head*", lr_absolute=0.0)),
        ("*.bias weight_decay=0", GroupSpec("*.bias", weight_decay=0.0)),
        (
            f"[0-3].* lr=2x schedule={STEPS} weight_decay=0.5",
            GroupSpec("[0-3].*", 2, None, STEPS, 0.5),
        ),
        (f"x schedule={OWN} lr=3x", GroupSpec("x", lr_factor=3, schedule=OWN)),
        ("  head*   lr=10x ", GroupSpec("head*", lr_factor=10)),
        ("* schedule=warmup( 10% )+cosine", GroupSpec("*", schedule="warmup(10%) + cosine")),
    ],
)
def test_parse(text: str, group: GroupSpec) -> None:
    assert parse_group(text) == group
    assert parse_group(str(group)) == group


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" lr=10x", "no pattern"),
        ("head*", "sets nothing"),
        ("head* rl=10x", "unknown key 'rl'; did you mean lr?"),
        ("head* lr=ten", "lr=ten is not a finite number"),
        ("head* lr=nanx", "not a finite number"),
        ("head* lr=-1x", "at least 0"),
        ("head* lr=1x lr=2x", "sets lr twice"),
        ("head* weight_decay=-1", "at least 0"),
        ("head* schedule=cosin", "cosin"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(UsageError, match="--group") as fault:
        parse_group(text)
    assert words in str(fault.value) and "\n" not in str(fault.value)


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        group = parse_group(text)
    except UsageError:
        return
    assert parse_group(str(group)) == group


def test_first_match_wins_and_the_rest_comes_last() -> None:
    groups = parse_groups(["*.bias lr=2x", "head* lr=10x"])
    members = assign(NAMES, groups)
    assert [(group.pattern, names) for group, names in members] == [
        ("*.bias", ["0.bias", "head.bias"]),
        ("head*", ["head.weight"]),
        ("*", ["0.weight"]),
    ]
    assert assign(NAMES, parse_groups([])) == [(GroupSpec(), NAMES)]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["body* lr=2x"], r"'body\*' matches no parameter; .*0\.weight"),
        (["* lr=2x", "head* lr=3x"], r"'head\*' matches no parameter; earlier groups"),
        (["head* lr=2x", "head* weight_decay=0"], "given twice"),
    ],
)
def test_a_pattern_without_parameters_or_named_twice_is_refused(
    texts: list[str], words: str
) -> None:
    with pytest.raises(UsageError, match=f"--group .*{words}"):
        assign(NAMES, parse_groups(texts))
