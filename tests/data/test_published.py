import sys
from pathlib import Path

import pytest

from lrbench.data.published import downloading
from lrbench.errors import MachineError


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
