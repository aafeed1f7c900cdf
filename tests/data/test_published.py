from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from lrbench.data.mnist import parse_idx
from lrbench.data.published import downloading
from lrbench.errors import MachineError

from .makers import idx

ARRAY = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (idx(ARRAY)[:-1], "39 bytes, not 40"),
        (idx(ARRAY) + b"\0", "41 bytes, not 40"),
        (b"", "0 bytes"),
        (b"\0\0\x09" + idx(ARRAY)[3:], "header"),
        (idx(ARRAY.reshape(2, 4, 3)), "header"),
        (idx(ARRAY[:1]), "28 bytes, not 40"),
    ],
)
def test_another_idx_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    assert np.array_equal(parse_idx(tmp_path, idx(ARRAY), (2, 3, 4)), ARRAY)
    with pytest.raises(MachineError, match="labels-idx is damaged") as fault:
        parse_idx(tmp_path / "labels-idx", content, (2, 3, 4))
    assert words in str(fault.value)


def test_a_download_speaks_on_stderr_and_fails_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        pytest.raises(
            MachineError, match=r"mnist could not be fetched into .*: no network;"
        ) as fault,
        downloading("mnist", tmp_path / "new"),
    ):
        print("Downloading", file=sys.stdout)  # noqa: T201
        raise RuntimeError("no network\nmore")
    assert "\n" not in str(fault.value)
    assert capsys.readouterr() == ("", "Downloading\n")
    assert (tmp_path / "new").is_dir()
