"""Where to run: options to the host and the executor that they mean."""

from __future__ import annotations

import re
from pathlib import Path

from lrbench.engine.device import default_threads
from lrbench.errors import UsageError
from lrbench.execute.workbench import Host
from lrbench.options.names import HOST, TRIALS, Options
from lrbench.options.values import count, duration_s

LIMITS = {"threads": 1024, "jobs": 1024, "max_failures": 2**31 - 1, "at_once": 64}


def host_of(options: Options) -> Host:
    """Raises UsageError: a device or a number of threads that cannot be meant."""
    names = [name for name in (*HOST, *TRIALS) if name != "executor"]
    fields = {name: options[name] for name in names if name in options}
    for name, most in LIMITS.items():
        if name in fields:
            fields[name] = count(fields[name], most=most, name=name.replace("_", "-"))
    if "trial_timeout" in fields:
        timeout = fields.pop("trial_timeout")
        fields["trial_timeout_s"] = duration_s(timeout, "trial-timeout")
    elif options.get("executor") == "pool":
        fields.setdefault("jobs", default_threads())
    if "data_dir" in fields:
        fields["data_dir"] = Path(fields["data_dir"]).expanduser()
    device = fields.get("device", "auto")
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", str(device)):
        raise UsageError(f"--device {device}: choose auto, cpu, cuda or cuda:N")
    if fields.get("at_once", 1) > 1 and not fields.get("graph"):
        raise UsageError("--at-once: trials are side by side in a graph; add --graph")
    if fields.get("graph") and executor_of(options) == "serial":
        fields.setdefault("at_once", None)
    return Host(**fields)


def executor_of(options: Options) -> str:
    """Where trials run: processes of their own where more than one is wanted at a time, or where
    one may have to be ended from outside.

    Raises:
        UsageError: there is no such executor.
    """
    from lrbench.execute import EXECUTORS

    apart = options.get("jobs", 1) != 1 or "trial_timeout" in options
    if options.get("at_once", 1) != 1 and (apart or options.get("executor", "serial") != "serial"):
        raise UsageError("--at-once is for one process: leave out --jobs, --trial-timeout and pool")
    name = options.get("executor", "pool" if apart else "serial")
    EXECUTORS.get(name, option="--executor")
    if name == "serial" and apart:
        raise UsageError(
            "--executor serial takes neither --jobs nor --trial-timeout", hint="use --executor pool"
        )
    return str(name)
