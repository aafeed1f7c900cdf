"""Manifests and journals by hand."""

import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def manifest(**fields: Any) -> dict[str, Any]:
    """A whole manifest, with some fields set."""
    return {
        "command": "compare", "experiment": {}, "fingerprint": "0" * 12, "material": "",
        "code": {}, "data": {}, "lrbench": "0", "machine": {}, "device": "cpu", "threads": 1,
    } | fields  # fmt: skip


def write_lines(path: Path, bodies: Iterable[str]) -> None:
    """A journal whose checksums are right, whatever its lines hold: JSON objects, in text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    checksum, lines = 0, []
    for body in bodies:
        checksum = zlib.crc32(body.encode(), checksum)
        lines.append(f'{body[:-1]},"crc":"{checksum:08x}"}}\n')
    path.write_text("".join(lines))


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    write_lines(path, (json.dumps(row, separators=(",", ":")) for row in rows))


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a journal, without their checksums."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "crc"} for row in rows]
