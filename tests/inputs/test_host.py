"""Where trials run: what executor, jobs, address and shard mean together."""

from typing import Any

import pytest

from lrbench.engine.device import default_threads
from lrbench.errors import UsageError
from lrbench.inputs import host_of


@pytest.mark.parametrize(
    ("options", "executor", "jobs"),
    [
        ({}, "auto", 1),
        ({"jobs": "auto"}, "pool", default_threads()),
        ({"executor": "pool"}, "pool", default_threads()),
        ({"jobs": "3"}, "pool", 3),
        ({"executor": "ray"}, "ray", 0),
        ({"executor": "ray", "jobs": 3}, "ray", 3),
        ({"executor": "ray", "trial_timeout": "1m"}, "ray", 0),
    ],
)
def test_executors_and_jobs(options: dict[str, Any], executor: str, jobs: int) -> None:
    host = host_of(options)
    assert (host.executor, host.jobs) == (executor, jobs)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"jobs": 0}, "--jobs 0: choose a number from 1 on, or auto"),
        ({"jobs": "many"}, "--jobs many"),
        ({"jobs": "auto", "executor": "serial"}, "takes neither --jobs"),
        ({"address": "local"}, "--address belongs to --executor ray"),
        ({"shard": "9/8"}, "--shard 9/8: write I/N"),
        ({"shard": "0/0"}, "--shard 0/0"),
        ({"shard": "\uff12/8"}, "write I/N"),
        ({"shard": "1"}, "--shard 1"),
    ],
)
def test_what_contradicts_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        host_of(options)


def test_a_shard_is_read() -> None:
    assert host_of({"shard": "2/8"}).shard == (2, 8)
