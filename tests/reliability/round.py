"""The whole round of faults that no test repeats every day, with seeds of its own:

    python -m tests.reliability.round FOLDER [SEED [CORRUPTIONS EVENTS WEIGHTS]]

It corrupts runs in their structure, signals every process of a comparison, and mutates files of
weights. Prints a table; exits with 1 if anything was silently wrong.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lrbench.__main__ import run
from lrbench.errors import LrbenchError
from lrbench.execute import trial
from lrbench.models import weights
from lrbench.report import csv_files, renderers
from tests.reliability.tools import alive, environment, plugin, table, timeless

KEYS = {"trials.csv": ("trial",), "epochs.csv": ("trial", "epoch")}
SIGNALS = ("SIGINT", "SIGTERM", "SIGKILL", "SIGSTOP")
SLOW = """
import time
from torch import nn
from lrbench.models import MODELS

@MODELS.register("slow", "takes its time")
def slow(image_shape, classes):
    size = image_shape[0] * image_shape[1] * image_shape[2]
    class Slow(nn.Sequential):
        def forward(self, x):
            time.sleep(0.008)
            return super().forward(x)
    return Slow(nn.Flatten(), nn.Linear(size, classes))
"""


def quietly(argv: list[str]) -> tuple[int, str]:
    """The exit code of a command in this process, and what it said on stderr."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = run(argv)
        except BaseException as fault:
            return 99, f"Traceback {fault!r}"
    return code, err.getvalue()


# Corruptions of a run: each changes the copy of a run in place, and says what it did.


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def journals(copy: Path) -> list[Path]:
    return sorted(copy.glob("trials/*/journal.jsonl"))


def some_lines(copy: Path, other: Path, chance: random.Random) -> str:
    """Lines of a journal deleted, doubled, moved, or taken from another one."""
    path = chance.choice(journals(copy))
    lines, theirs = lines_of(path), lines_of(chance.choice(journals(other)))
    place, there = chance.randrange(len(lines)), chance.randrange(len(lines))
    deed = chance.choice(("deleted", "doubled", "moved", "exchanged", "foreign", "cut"))
    match deed:
        case "deleted":
            del lines[place]
        case "doubled":
            lines.insert(there, lines[place])
        case "moved":
            lines.insert(there, lines.pop(place))
        case "exchanged":
            lines[place], lines[there] = lines[there], lines[place]
        case "foreign":
            lines[place] = chance.choice(theirs)
        case "cut":
            lines = lines[:place]
    path.write_bytes(b"".join(lines))
    return f"line {place} of {path.parent.name} {deed} ({there})"


def some_journals(copy: Path, other: Path, chance: random.Random) -> str:
    """Journals exchanged, copied over each other, renamed, emptied, or from another run."""
    a, b = chance.sample(journals(copy), 2)
    deed = chance.choice(("exchanged", "copied", "renamed", "emptied", "foreign", "folder"))
    match deed:
        case "exchanged":
            a.rename(copy / "x")
            b.rename(a)
            (copy / "x").rename(b)
        case "copied":
            shutil.copy(a, b)
        case "renamed":
            a.parent.rename(a.parent.with_name(f"{chance.getrandbits(48):012x}"))
        case "emptied":
            a.write_bytes(b"")
        case "foreign":
            shutil.copy(chance.choice(journals(other)), a)
        case "folder":
            a.unlink()
            a.mkdir()
    return f"{a.parent.name} {deed} ({b.parent.name})"


def some_manifest(copy: Path, other: Path, chance: random.Random) -> str:
    """A field of the manifest deleted, of another type or value, or another run's."""
    path = copy / "manifest.json"
    whole, theirs = (json.loads((each / "manifest.json").read_text()) for each in (copy, other))
    place = whole
    key = chance.choice(sorted(place))
    while isinstance(place[key], dict) and place[key] and chance.random() < 0.7:
        place = place[key]
        key = chance.choice(sorted(place))
    values = [None, [], {}, "", 0, 1, -1, True, 2**70, float("inf"), float("nan"), "x", [{}], 0.5]
    deed = chance.choice(("deleted", "set", "set", "added", "foreign", "unsealed"))
    match deed:
        case "deleted":
            del place[key]
        case "set":
            place[key] = chance.choice([each for each in values if each != place[key]])
        case "added":
            place[f"{key}x"] = chance.choice(values)
        case "foreign":
            key = chance.choice([name for name in whole if whole[name] != theirs.get(name)])
            whole[key] = theirs.get(key)
        case "unsealed":
            place[key] = "changed"
            whole.pop("checksum", None)
    path.write_text(json.dumps(whole, indent=2) + "\n")
    return f"manifest: {key} {deed}"


def some_checkpoint(copy: Path, other: Path, chance: random.Random) -> str:
    """A checkpoint cut, changed, emptied, or another trial's."""
    path = next(iter(copy.glob("trials/*/state.pt")))
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    deed = chance.choice(("cut", "flipped", "emptied", "foreign", "doubled", "unsealed"))
    match deed:
        case "cut":
            content = content[:place]
        case "flipped":
            content[place] ^= 1 << chance.randrange(8)
        case "emptied":
            content = bytearray()
        case "foreign":
            content = bytearray(next(iter(other.glob("trials/*/state.pt"))).read_bytes())
        case "doubled":
            content += content
        case "unsealed":
            content = content[:-32]
    path.write_bytes(content)
    return f"state.pt {deed} at {place}"


def some_cache(copy: Path, other: Path, chance: random.Random) -> str:
    """The cache of an image folder: an array rolled, cut, exchanged or missing; bytes changed."""
    path = next(Path(os.environ["XDG_CACHE_HOME"]).rglob("*.npz"))
    deed = chance.choice(("flipped", "cut", "rolled", "missing", "exchanged"))
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    if deed in ("flipped", "cut"):
        content[place] ^= 1 << chance.randrange(8)
        path.write_bytes(content if deed == "flipped" else content[:place])
        return f"cache {deed} at {place}"
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    key, key2 = chance.sample(sorted(arrays), 2)
    match deed:
        case "rolled":
            arrays[key] = np.roll(arrays[key], 1)
        case "missing":
            del arrays[key]
        case "exchanged":
            arrays[key], arrays[key2] = arrays[key2], arrays[key]
    np.savez(path, **arrays)
    return f"cache: {key} {deed} ({key2})"


Corrupt = Callable[[Path, Path, random.Random], str]
KINDS: tuple[Corrupt, ...] = (
    some_lines, some_lines, some_journals, some_manifest, some_manifest, some_checkpoint, some_cache
)  # fmt: skip


def wrong_rows(found: Path, known: Path) -> Iterator[str]:
    """Rows that the intact run does not have; one that is not done may miss what it has lost."""
    for name, keys in KEYS.items():
        whole = {tuple(row[key] for key in keys): row for row in table(known / name)}
        for row in table(found / name):
            true = whole.get(tuple(row[key] for key in keys))
            if row != true and row.get("status") != "":
                yield f"{name}: {row} for {true}"
    ranks = {row["schedule"]: row for row in table(known / "ranking.csv")}
    for row in table(found / "ranking.csv"):
        true = ranks[row["schedule"]]
        if row["metric_mean"] != true["metric_mean"] and row["n"] == true["n"]:
            yield f"ranking.csv: {row} for {true}"


def images(folder: Path, seed: int) -> None:
    chance = np.random.RandomState(seed)
    for split, count in (("train", 40), ("test", 10)):
        for label in range(2):
            (folder / split / str(label)).mkdir(parents=True)
            for number in range(count):
                noise = chance.randint(0, 120, (28, 28)) + 100 * label
                image = Image.fromarray(noise.astype(np.uint8))
                image.save(folder / split / str(label) / f"{number}.png")


def left_in_the_middle(argv: list[str], saves: int) -> None:
    """Run a command that is stopped once so many checkpoints are saved."""
    save, saved = trial.checkpoint.save, []

    def last(*arguments: Any) -> None:
        save(*arguments)
        saved.append(arguments)
        if len(saved) == saves:
            raise KeyboardInterrupt

    trial.checkpoint.save = last
    try:
        assert quietly(argv)[0] == 130
    finally:
        trial.checkpoint.save = save


def corruptions(folder: Path, times: int, chance: random.Random) -> Iterator[str]:
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    images(folder / "images", 1)
    data = f"folder:{folder / 'images'}"
    argv = ["compare", "--dataset", data, "--model", "mlp", "--epochs", "2",
            "--lr", "0.05,0.2", "-s", "linear", "-s", "warmup(10%) + cosine", "--seeds", "3",
            "--tuning-seeds", "1", "--threads", "1", "--batch-size", "16", "--record-steps",
            "--quiet", "--executor", "serial"]  # fmt: skip
    trial.CHECKPOINT_S = -1.0
    renderers.write_all = lambda summary, place, *_: csv_files.write(summary, place)
    assert quietly([*argv, "--out", str(folder / "whole")])[0] == 0
    left_in_the_middle([*argv, "--out", str(folder / "cut")], 9)
    left_in_the_middle([*argv, "--val-fraction", "0.2", "--out", str(folder / "other")], 5)
    assert quietly(["report", str(folder / "cut")])[0] == 0
    counts: Counter[str] = Counter()
    for number in range(times):
        copy, kind = folder / f"copy-{number}", KINDS[number % len(KINDS)]
        base = folder / ("cut" if kind is some_checkpoint or chance.random() < 0.5 else "whole")
        shutil.copytree(base, copy)
        shutil.copytree(folder / "cache", folder / "cache-kept")
        what = kind(copy, folder / "other", chance)
        for again in (["report", str(copy)], [*argv, "--out", str(copy)]):
            code, said = quietly(again)
            last = said.splitlines()[-1] if said else ""
            if "Traceback" in said or code not in (0, 2, 3):
                outcome = "TRACEBACK"
            elif code:
                outcome = "refused" if last.startswith("lrbench: error: ") else "UNCLEAR"
            elif again[0] == "report":
                outcome = "WRONG" if [*wrong_rows(copy, base)] else "true"
            else:
                outcome = "true" if timeless(copy) == timeless(folder / "whole") else "WRONG"
            counts[outcome] += 1
            if outcome not in ("true", "refused"):
                yield f"  {outcome}: {what}: {' '.join(again[:2])}: {code} {last[:300]}"
        shutil.rmtree(copy)
        shutil.rmtree(folder / "cache")
        (folder / "cache-kept").rename(folder / "cache")
    bad = sum(counts.values()) - counts["true"] - counts["refused"]
    yield (
        f"| structural corruptions of manifest, journals, checkpoint and cache, each reported and "
        f"resumed | {times}: {counts['true']} commands gave the intact numbers, "
        f"{counts['refused']} refused by one line | {bad} silently wrong, unclear or a traceback |"
    )


def descendants(pid: int) -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def events(folder: Path, times: int, chance: random.Random) -> Iterator[str]:
    env = environment(plugin(folder / "plugins", "slow", SLOW))
    argv = [sys.executable, "-m", "lrbench", "compare", "--dataset", "synthetic", "--model", "slow",
            "--epochs", "12", "--lr", "0.05,0.2", "-s", "linear", "-s", "step", "--seeds", "4",
            "--tuning-seeds", "1", "--threads", "1", "--quiet", "--out"]  # fmt: skip
    subprocess.run([*argv, "whole"], cwd=folder, env=env, check=True, capture_output=True)
    whole, sent = timeless(folder / "whole"), Counter[str]()
    runs = orphans = changed = unclear = 0
    while sent.total() < times:
        runs += 1
        code = 1
        while code:
            process = subprocess.Popen(
                [*argv, f"run-{runs}"], cwd=folder, env=env, text=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            seen: set[int] = set()
            while process.poll() is None and sent.total() < times:
                time.sleep(chance.uniform(0, 5))
                everyone = [process.pid, *descendants(process.pid)]
                seen |= {*everyone}
                name, target = chance.choice(SIGNALS), chance.choice(everyone)
                try:
                    os.kill(target, getattr(signal, name))
                    if name == "SIGSTOP":
                        time.sleep(chance.uniform(0, 4))
                        os.kill(target, signal.SIGCONT)
                except ProcessLookupError:
                    continue
                sent[f"{name} to {'the command' if target == process.pid else 'a helper'}"] += 1
            _, said = process.communicate()
            code = process.returncode
            time.sleep(0 if code == 0 else 2)
            orphans += sum(alive(pid) for pid in seen - {process.pid})
            if code not in (0, 130, 143, -9) or "Traceback" in said:
                unclear += 1
                yield f"  UNCLEAR: exit {code}: {said[-600:]}"
        if timeless(folder / f"run-{runs}") != whole:
            changed += 1
            yield f"  CHANGED: run-{runs}"
    shares = ", ".join(f"{count} x {name}" for name, count in sorted(sent.items()))
    yield (
        f"| signals to any process of the default comparison, resumed until done | {sent.total()} "
        f"over {runs} runs: {shares} | {changed} runs with a changed row, {orphans} orphans, "
        f"{unclear} unclear ends |"
    )


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A file of weights cut, changed at a few bytes, with bytes deleted or put in."""
    new = bytearray(content)
    place = chance.choice((chance.randrange(len(new)), chance.randrange(min(len(new), 2500))))
    match chance.randrange(5):
        case 0:
            del new[place:]
        case 1:
            del new[place : place + chance.randrange(1, 200)]
        case 2:
            new[place:place] = chance.randbytes(chance.randrange(1, 50))
        case 3:
            new[place] = chance.randrange(256)
        case 4:
            for _ in range(chance.randrange(1, 6)):
                new[chance.randrange(len(new))] ^= 1 << chance.randrange(8)
    return bytes(new)


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
        path.write_bytes(mutated(chance.choice(files), chance))
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
    folder, seed = Path(sys.argv[1]).absolute(), int((*sys.argv[2:], "2026")[0])
    shares = [int(text) for text in sys.argv[3:]] or [300, 100, 3000]
    torch.set_num_threads(1)
    wrong = 0
    for part, times in zip((corruptions, events, mutations), shares, strict=True):
        place = folder / part.__name__
        place.mkdir(parents=True)
        for line in part(place, times, random.Random(f"{seed} {part.__name__}")):
            wrong += line.startswith("  ")
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
