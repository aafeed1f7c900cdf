"""The whole round of faults that no test repeats every day, with seeds of its own:

    python -m tests.reliability.round FOLDER SEED [CORRUPTIONS EVENTS WEIGHTS]

It corrupts runs in their structure, signals every process of a comparison, and mutates files of
weights. Prints a table; exits with 1 if anything was silently wrong.
"""

import io
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

from lrbench.errors import LrbenchError
from lrbench.models import weights
from tests.reliability.corruptions import changed, corruptions
from tests.reliability.tools import SMALL, alive, completed, epochs_in, moody, start, timeless

SIGNALS = ("SIGINT", "SIGTERM", "SIGKILL", "SIGSTOP")


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            for children in Path(f"/proc/{each}/task").glob("*/children"):
                found += map(int, children.read_text().split())
    return found


def events(folder: Path, times: int, chance: random.Random) -> Iterator[str]:
    env = moody(folder / "plugins", {"any": "time.sleep(0.008)"})
    argv = [*SMALL, "--model", "moody", "--epochs", "12", "--seeds", "4", "--out"]
    completed(*argv, "whole", cwd=folder, env=env)
    whole, sent = timeless(folder / "whole"), Counter[str]()
    runs = orphans = changed = unclear = given_up = 0
    while sent.total() < times:
        runs += 1
        code = 1
        while code:
            process = start(*argv, f"run-{runs}", "--retry-failed", cwd=folder, env=env)
            seen: set[int] = set()
            before, early = epochs_in(folder / f"run-{runs}"), chance.random() < 0.15
            while not early and epochs_in(folder / f"run-{runs}") == before:
                time.sleep(0.1)  # most events come once it trains, the others while it starts
                early = process.poll() is not None
            while process.poll() is None and sent.total() < times:
                time.sleep(chance.uniform(0, 2))
                everyone = family(process.pid)
                seen |= {*everyone}
                name, target = chance.choice(SIGNALS), chance.choice(everyone)
                try:
                    os.kill(target, getattr(signal, name))
                    if name == "SIGSTOP":
                        time.sleep(chance.uniform(0, 3))
                        os.kill(target, signal.SIGCONT)
                except ProcessLookupError:
                    continue
                sent[f"{name} to {'the command' if target == process.pid else 'a helper'}"] += 1
            _, said = process.communicate()
            code = process.returncode
            time.sleep(0 if code == 0 else 2)
            orphans += sum(alive(pid) for pid in seen - {process.pid})
            early = (-signal.SIGINT, -signal.SIGTERM)  # before the command could set its handlers
            if code == 3 and "keep dying at startup" in said:
                given_up += 1  # three helpers in a row were killed before they were ready
            elif code not in (0, 1, 130, 143, -signal.SIGKILL, *early) or "Traceback" in said:
                unclear += 1
                yield f"  UNCLEAR: exit {code}: {said[-600:]}"
        if timeless(folder / f"run-{runs}") != whole:
            changed += 1
            yield f"  CHANGED: run-{runs}"
    shares = ", ".join(f"{count} x {name}" for name, count in sorted(sent.items()))
    yield (
        f"| signals to any process of the default comparison, resumed until done | {sent.total()} "
        f"over {runs} runs: {shares} | {changed} runs with a changed row, {orphans} orphans, "
        f"{given_up} given up in one line, all helpers killed at their start, "
        f"{unclear} unclear ends |"
    )


def mutations(folder: Path, times: int, chance: random.Random) -> Iterator[str]:
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten()
    model = torch.nn.Sequential(*layers, torch.nn.Linear(36, 10))
    files = []
    for content in (model.state_dict(), {"state_dict": model.state_dict(), "epoch": 3}):
        for modern in (True, False):
            memory = io.BytesIO()
            torch.save(content, memory, _use_new_zipfile_serialization=modern)
            files.append(memory.getvalue())
    counts: Counter[str] = Counter()
    path = folder / "weights.pt"
    for _ in range(times):
        path.write_bytes(chance.choice(files))
        changed(path, chance)
        weights.read.cache_clear()
        try:
            weights.load_weights(model, "net", str(path))
            counts["loaded"] += 1
        except LrbenchError as fault:
            counts["refused" if str(fault).isprintable() else "UNCLEAR"] += 1
        except BaseException as fault:
            counts["TRACEBACK"] += 1
            yield f"  TRACEBACK: {fault!r}"
    yield (
        f"| mutated files of weights, in the old and the new format of torch | {times}: "
        f"{counts['refused']} refused by one line, {counts['loaded']} still a file of tensors | "
        f"{counts['TRACEBACK'] + counts['UNCLEAR']} tracebacks |"
    )


def main() -> None:
    folder, seed, *times_of = sys.argv[1:]
    shares = list(map(int, times_of)) or [300, 100, 3000]
    torch.set_num_threads(1)
    wrong = 0
    for part, times in zip((corruptions, events, mutations), shares, strict=True):
        place = Path(folder).absolute() / part.__name__
        place.mkdir(parents=True)
        for line in part(place, times, random.Random(f"{seed} {part.__name__}")):
            wrong += line.startswith("  ")
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
