"""Corruptions of a run's structure: lines and journals moved about, fields of the manifest set or
deleted, checkpoints and caches exchanged. None may be believed."""

import io
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrbench.__main__ import run
from lrbench.execute import trial
from lrbench.report import renderers, write_csv
from tests.data.makers import image_folder
from tests.reliability.tools import SMALL, table, timeless

KEYS = {"trials.csv": ("trial",), "epochs.csv": ("trial", "epoch")}


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


def journals(copy: Path) -> list[Path]:
    return sorted(copy.glob("trials/*/journal.jsonl"))


def some_lines(copy: Path, other: Path, chance: random.Random) -> str:
    """Lines of a journal deleted, doubled, moved, or taken from another one."""
    path, foreign = chance.choice(journals(copy)), chance.choice(journals(other))
    lines, theirs = (each.read_bytes().splitlines(keepends=True) for each in (path, foreign))
    place, there = chance.randrange(len(lines)), chance.randrange(len(lines))
    rest = lines[:place] + lines[place + 1 :]
    deeds = {
        "deleted": rest,
        "doubled": [*lines[:there], lines[place], *lines[there:]],
        "moved": [*rest[:there], lines[place], *rest[there:]],
        "foreign": [*lines[:place], chance.choice(theirs), *lines[place + 1 :]],
        "cut": lines[:place],
    }
    deed = chance.choice(sorted(deeds))
    path.write_bytes(b"".join(deeds[deed]))
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
    """A checkpoint emptied, doubled, without its seal, or another trial's."""
    path, theirs = (next(iter(each.glob("trials/*/state.pt"))) for each in (copy, other))
    content = path.read_bytes()
    deeds = {"emptied": b"", "doubled": content * 2, "unsealed": content[:-32],
             "foreign": theirs.read_bytes()}  # fmt: skip
    deed = chance.choice(sorted(deeds))
    path.write_bytes(deeds[deed])
    return f"state.pt {deed}"


def changed(path: Path, chance: random.Random) -> str:
    """A file cut, a bit of it flipped, or bytes deleted or put in: anywhere, or near its start."""
    content = path.read_bytes()
    place = chance.randrange(chance.choice((len(content), min(len(content), 2500))))
    rest = content[place:]
    deeds = {
        "cut": b"",
        "flipped": bytes([rest[0] ^ 1 << chance.randrange(8)]) + rest[1:],
        "shortened": rest[chance.randrange(1, 200) :],
        "lengthened": chance.randbytes(chance.randrange(1, 50)) + rest,
    }
    deed = chance.choice(sorted(deeds))
    path.write_bytes(content[:place] + deeds[deed])
    return f"{path.name} {deed} at {place}"


def some_bytes(copy: Path, other: Path, chance: random.Random) -> str:
    """Any file of the run."""
    files = sorted(path for path in copy.rglob("*") if path.is_file() and path.name != "run.lock")
    return changed(chance.choice(files), chance)


def some_cache(copy: Path, other: Path, chance: random.Random) -> str:
    """The cache of an image folder: an array rolled, cut, exchanged or missing; bytes changed."""
    path = next(Path(os.environ["XDG_CACHE_HOME"]).rglob("*.npz"))
    if chance.random() < 0.4:
        return changed(path, chance)
    deed = chance.choice(("rolled", "missing", "exchanged"))
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


def left_in_the_middle(argv: list[str], saves: int) -> None:
    """Run a command that is stopped once so many checkpoints are saved."""
    save, saved = trial.checkpoint.save, []

    def last(*arguments: Any) -> None:
        save(*arguments)
        saved.append(arguments)
        if len(saved) == saves:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial.checkpoint, "save", last)
        assert quietly(argv)[0] == 130


def corruptions(
    folder: Path, times: int, chance: random.Random, kinds: Sequence[Corrupt] = KINDS
) -> Iterator[str]:
    """Corrupts, reports and resumes a run so many times. Yields what came out wrong, and a row of
    a table that sums it up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setattr(trial, "CHECKPOINT_S", -1.0)
        patch.setattr(renderers, "write_all", lambda told, place, *_: write_csv.write(told, place))
        yield from corrupted(folder, times, chance, kinds)


def corrupted(
    folder: Path, times: int, chance: random.Random, kinds: Sequence[Corrupt]
) -> Iterator[str]:
    data = f"folder:{image_folder(folder / 'images', per_class=40, mode='L', size=28)}"
    argv = [*SMALL, "--dataset", data, "--seeds", "3", "--batch-size", "16", "--record-steps",
            "--executor", "serial"]  # fmt: skip
    assert quietly([*argv, "--out", str(folder / "whole")])[0] == 0
    left_in_the_middle([*argv, "--out", str(folder / "cut")], 9)
    left_in_the_middle([*argv, "--val-fraction", "0.2", "--out", str(folder / "other")], 5)
    assert quietly(["report", str(folder / "cut")])[0] == 0
    counts: Counter[str] = Counter()
    for number in range(times):
        copy, kind = folder / f"copy-{number}", kinds[number % len(kinds)]
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
    names = ", ".join(sorted({kind.__name__ for kind in kinds}))
    yield (
        f"| corruptions of {names} | {times}: {counts['true']} commands gave the intact numbers, "
        f"{counts['refused']} refused by one line | {bad} silently wrong, unclear or a traceback |"
    )
