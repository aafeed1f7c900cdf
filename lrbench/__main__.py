"""The entry point: one line per error, and the exit codes in the README."""

import os
import sys

LINE = 2000  # characters of an error to show, from its start and end


def main() -> None:
    """Run the command line of this process and exit with its code."""
    try:  # handle Ctrl-C before importing anything
        from lrbench.stopping import WORDS, install, outlive_readers

        outlive_readers()  # a terminal without × shows ? instead
        install()
    except KeyboardInterrupt:
        os.write(2, b"lrbench: stopped by Ctrl-C\n")
        os._exit(130)
    from lrbench.engine.device import wait_briefly

    wait_briefly()
    code = run(sys.argv[1:])
    if code in WORDS:  # skip cleanup, where a second signal would find no handler
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run(argv: list[str]) -> int:
    """Run a command line and return its exit code: 0 done, 1 a trial failed or no LR, 2 usage, 3
    machine, 4 condition, 130, 143."""
    from lrbench.errors import LrbenchError, Terminated
    from lrbench.stopping import farewell, resume_with

    resume_with("")
    try:
        return _run(argv)
    except LrbenchError as fault:
        _say(f"error: {fault}")
        return fault.exit_code
    except KeyboardInterrupt:
        _say(farewell(130))
        return 130
    except Terminated:
        _say(farewell(143))
        return 143
    except OSError as fault:
        # Drop what is left in the buffer, or Python complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(fault, BrokenPipeError):
            return 0
        where = f" {fault.filename}" if fault.filename else ""
        _say(f"error: cannot write{where}: {(fault.strerror or str(fault)).lower()}")
        return 3


def _run(argv: list[str]) -> int:
    import typer

    from lrbench.cli import app
    from lrbench.registry import broken_plugins

    try:
        code = app(argv, prog_name="lrbench", standalone_mode=False)
        sys.stdout.flush()
        if code == 130:  # typer turns Ctrl-C into this code, silently
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except typer.TyperException as fault:
        if words := _one_line(fault):
            _say(f"error: {words}")
        return 2
    except typer.Abort:
        raise KeyboardInterrupt from None
    finally:  # registries are read on demand
        for notice in broken_plugins():
            _say(f"warning: {notice}")


def _one_line(fault: Exception) -> str:
    import re

    text = " ".join(str(getattr(fault, "format_message", fault.__str__)()).split())
    text = re.sub(r"Input should be a valid (integer|number), .*", "not a number", text)
    return re.sub(r"^Invalid value for '[^']+': Value error, (?=--)", "", text)  # our own words


def _say(line: str) -> None:
    from lrbench.errors import printable

    short = line if len(line) <= LINE else f"{line[: LINE // 2]} … {line[-LINE // 2 :]}"
    clean = printable(short.replace("\n", " "), "?")
    print(f"lrbench: {clean}", file=sys.stderr)  # noqa: T201 the one plain print: no rich needed


if __name__ == "__main__":
    main()
