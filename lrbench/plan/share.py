"""The part of a plan that one of several independent runs trains."""

from dataclasses import replace

from lrbench.plan import Plan


def share(whole: Plan, shard: tuple[int, int] | None) -> Plan:
    """The final trials dealt out in turns, none to shard 0. Everything before them is everybody's:
    which final trials there are depends on all of it."""
    if shard is None or whole.stage != "final":
        return whole
    number, count = shard
    mine = {*whole.finals[number - 1 :: count]} if number else set()
    trials = tuple(trial for trial in whole.trials if trial in mine)
    return replace(whole, stage="final" if trials else "done", trials=trials)
