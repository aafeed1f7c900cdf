"""What tests of commands share."""

import json
from typing import Any

from lrbench.__main__ import run


def told(argv: list[str], capsys: Any) -> Any:
    """What a command that ends well says in JSON."""
    capsys.readouterr()
    assert run([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(argv: list[str], capsys: Any, code: int = 2) -> str:
    """The one line with which a command is refused."""
    capsys.readouterr()
    assert run(argv) == code
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("lrbench: error: ")
    return str(line)
