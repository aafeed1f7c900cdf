"""The machine, which determines the last bits of a run's numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from lrbench.errors import Notice, Topic, UsageError
from lrbench.records import History

BITS = ("device", "threads", "torch", "deterministic", "graph", "at_once")
# Usual values, which reports omit.
OFF: Mapping[str, Any] = {"deterministic": False, "graph": False, "at_once": 1}
INVENTED = "mock"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`threads 1 -> 2` for each condition in which two machine descriptions differ."""
    if not before:
        return []
    before, now = {**OFF, **before}, {**OFF, **now}
    return [
        f"{name} {before[name]} -> {now[name]}"
        for name in BITS
        if name in before and name in now and before[name] != now[name]
    ]


def carried_on(
    begun: Mapping[str, Any], machine: Mapping[str, Any], *, force: bool
) -> dict[str, list[str]]:
    """The changes that `--force` has allowed in a run so far, for its manifest; empty if there are
    none. `begun` is the run's manifest, `machine` describes this machine.

    Raises:
        UsageError: trials would be trained under other conditions than those already done.
    """
    forced: list[str] = list(begun.get("forced", ()))
    changed = differences(begun.get("machine", {}), machine)
    new = [difference for difference in changed if difference not in forced]
    if new and not force:
        threads = begun.get("machine", {}).get("threads")
        as_before = f"continue as it was started (--threads {threads}), or " if threads else ""
        raise UsageError(
            f"this run was started under other conditions: {', '.join(new)}",
            hint=f"{as_before}add --force, which every report will mention",
        )
    return {"forced": [*forced, *new]} if forced or new else {}


def notices(manifest: Mapping[str, Any], histories: Iterable[History]) -> list[Notice]:
    """Warnings if trials of a run were trained under different conditions, or invented."""
    machines = [h.end.machine for h in histories if h.end is not None and h.end.machine]
    words, remedy = [], "their last bits are not comparable, and paired seeds less so"
    if invented := sum(machine.get("device") == INVENTED for machine in machines):
        words.append((f"{invented} trials were invented by --executor mock", ""))
    eager = Counter(machine["eager"] for machine in machines if machine.get("eager"))
    for reason, count in sorted(eager.items()):
        words.append((f"--graph: {count} trials were trained without it: {reason}", ""))
    kinds = Counter(map(_kind, machines))
    if len(kinds) > 1:
        listed = "; ".join(f"{kind} ({count} trials)" for kind, count in sorted(kinds.items()))
        words.append((f"trials were trained under different conditions: {listed}", remedy))
    elif forced := ", ".join(manifest.get("forced", ())):
        words.append((f"--force continued this run under other conditions: {forced}", remedy))
    return [Notice(Topic.OTHER_MACHINE, *each) for each in words]


def _kind(machine: Mapping[str, Any]) -> str:
    """What is unusual about a machine, such as `threads 2`."""
    unusual = (name for name in BITS if machine.get(name, OFF.get(name)) != OFF.get(name))
    return ", ".join(f"{name} {machine[name]}" for name in unusual)
