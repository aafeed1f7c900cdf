import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.errors import UsageError
from lrbench.optimizers.groups import GroupSpec, assign, parse_group, parse_groups

NAMES = ["0.weight", "0.bias", "head.weight", "head.bias"]


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("head* lr=10x", GroupSpec("head*", lr_factor=10)),
        ("head* lr=1e-3", GroupSpec("head*", lr_absolute=1e-3)),
        ("head* lr=0", GroupSpec("head*", lr_absolute=0.0)),
        ("*.bias weight_decay=0", GroupSpec("*.bias", weight_decay=0.0)),
        (
            "[0-3].* lr=2x schedule=warmup(10%) + step(30ep, gamma=0.5) weight_decay=1e-4",
            GroupSpec(
                "[0-3].*",
                lr_factor=2,
                schedule="warmup(10%) + step(30ep, gamma=0.5)",
                weight_decay=1e-4,
            ),
        ),
        (
            'x schedule=expr("1 if epoch < 5 else (0)") lr=3x',
            GroupSpec("x", lr_factor=3, schedule='expr("1 if epoch < 5 else (0)")'),
        ),
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
        ("head* lr=ten", "lr=ten is no finite number"),
        ("head* lr=nanx", "no finite number"),
        ("head* lr=-1x", "at least 0"),
        ("head* lr=", "lr= is no finite number"),
        ("head* lr=1x lr=2x", "sets lr twice"),
        ("head* weight_decay=-1", "at least 0"),
        ("head* schedule=cosin", "cosin"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(UsageError, match="--group") as fault:
        parse_group(text)
    assert words in str(fault.value)
    assert "\n" not in str(fault.value)


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


def test_a_pattern_without_parameters_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--group 'body\*' matches no parameter; .*0\.weight"):
        assign(NAMES, parse_groups(["body* lr=2x"]))
    with pytest.raises(UsageError, match=r"--group 'head\*' matches no parameter; earlier groups"):
        assign(NAMES, parse_groups(["* lr=2x", "head* lr=3x"]))
    with pytest.raises(UsageError, match="named twice"):
        parse_groups(["head* lr=2x", "head* weight_decay=0"])
