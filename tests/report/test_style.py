from lrbench.report.style import MARKERS, PALETTE, looks


def test_a_schedule_keeps_its_colour_whatever_comes_after_it() -> None:
    few, more = looks(["a", "b"]), looks(["a", "b", "c", "a"])
    assert few["b"] == more["b"] and list(more) == ["a", "b", "c"]


def test_twenty_schedules_look_different() -> None:
    assert len(set(looks([f"s{i}" for i in range(20)]).values())) == 20
    assert len(PALETTE) == len(set(PALETTE)) and len(MARKERS) == len(set(MARKERS))
