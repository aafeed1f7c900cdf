"""Trials on two Ray nodes of this machine, through deaths of all kinds: the bits of serial."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from lrbench.run.store import Run
from tests.reliability.tools import alive, command, completed, finish, start, timeless, wait_for

pytestmark = pytest.mark.long
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # all of Ray stays on loopback
SMALL = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
NETS = """
import os, pathlib, time
import ray, torch
from torch import nn
from lrbench.execute import ray_worker, trial

trial.CHECKPOINT_S = ray_worker.CHECKPOINTS_S = -1.0

class Net(nn.Sequential):
    def forward(self, x):
        if ray.is_initialized():
            self.passes = getattr(self, "passes", 0) + self.training
            node = ray.get_runtime_context().get_node_id()
            pathlib.Path(f"node-{node}").touch()
            if self.passes == 9 and torch.initial_seed() >= 2_000_000:
                pathlib.Path(f"tested-{node}").touch()
            if self.passes == 20 and not os.path.exists("seen"):  # in the second epoch
                mine = pathlib.Path(f"mine-{os.getpid()}")  # two may come here at once
                mine.write_text(f"{os.getpid()} {node}")
                os.replace(mine, "seen")
                while not os.path.exists("go"):
                    time.sleep(0.02)
        return super().forward(x)

def net(image_shape, classes):
    size = image_shape[0] * image_shape[1] * image_shape[2]
    return Net(nn.Flatten(), nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, classes))
"""
FILE = """
dataset = "synthetic"
model = "nets:net"
epochs = 3
lr = "0.05,0.1"
schedule = ["constant", "cosine"]
seeds = 3
tuning_seeds = 1
threads = 1
"""
ARGV = ("compare", "--config", "same.toml", "--quiet")


def laid_out(folder: Path) -> Path:
    (folder / "nets.py").write_text(NETS)
    (folder / "same.toml").write_text(FILE)
    return folder


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pytest.importorskip("ray")
    folder = laid_out(tmp_path_factory.mktemp("serial"))
    completed(*ARGV, "--executor", "serial", "--out", "run", cwd=folder)
    return timeless(folder / "run")


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that trains nothing, and two nodes."""
    utils = pytest.importorskip("ray.cluster_utils")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    found = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SMALL})
    try:
        for _ in range(2):
            found.add_node(num_cpus=1, **SMALL)
        found.wait_for_nodes()
        yield found
    finally:
        found.shutdown()


def seen(folder: Path, process: Popen[str]) -> tuple[int, str]:
    """The process and the node that wait in the middle of a trial, whose checkpoint is here."""
    wait_for(lambda: (folder / "seen").exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    wait_for(lambda: list(folder.glob("*/trials/*/state.pt")), timeout_s=20)
    worker, node = (folder / "seen").read_text().split()
    return int(worker), node


def test_one_file_gives_one_ranking_wherever_it_runs(
    tmp_path: Path, nodes: Any, serial: dict[str, Any]
) -> None:
    """In processes, on Ray here, on two nodes one of which dies in mid-trial, in three shards."""
    laid_out(tmp_path)
    process = start(*ARGV, "--executor", "ray", "--address", nodes.address, "--out", "nodes",
                    cwd=tmp_path)  # fmt: skip
    _, dying = seen(tmp_path, process)
    node = next(each for each in nodes.worker_nodes if each.node_id == dying)
    nodes.remove_node(node, allow_graceful=False)
    (tmp_path / "go").touch()
    code, _, said = finish(process)
    assert code == 0, said
    assert len(list(tmp_path.glob("node-*"))) == 2, "both of them train"
    local = ("--executor", "ray", "--address", "local", "--jobs", "2")
    shards = {f"shard{n}": ("--executor", "serial", "--shard", f"{n}/3") for n in (1, 2, 3)}
    ways = {"pool": ("--executor", "pool", "--jobs", "2"), "local": local, **shards}
    for out, words in ways.items():
        completed(*ARGV, *words, "--out", out, cwd=tmp_path)
    assert command("report", *shards, "--out", "merged", cwd=tmp_path)[0] == 0
    for out in ("nodes", "pool", "local", "merged"):
        assert timeless(tmp_path / out) == serial, out


def test_a_worker_and_then_the_driver_that_are_killed(
    tmp_path: Path, nodes: Any, serial: dict[str, Any]
) -> None:
    laid_out(tmp_path)
    argv = (*ARGV, "--executor", "ray", "--address", nodes.address, "--out", "run")
    process = start(*argv, cwd=tmp_path)
    worker, _ = seen(tmp_path, process)
    (tmp_path / "seen").unlink()
    os.kill(worker, signal.SIGKILL)
    other, _ = seen(tmp_path, process)
    process.kill()
    process.communicate()
    wait_for(lambda: not alive(other), timeout_s=60)
    assert list(tmp_path.glob("run/trials/*/state.pt"))
    (tmp_path / "go").touch()
    completed(*argv, cwd=tmp_path)
    assert timeless(tmp_path / "run") == serial


def test_ctrl_c_ends_a_cluster_of_ones_own(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    laid_out(tmp_path)
    process = start(*ARGV, "--executor", "ray", "--address", "local", "--jobs", "2", "--out",
                    "run", cwd=tmp_path)  # fmt: skip
    worker, _ = seen(tmp_path, process)
    family = others(process.pid)
    assert {"raylet", "gcs_server"} <= {name for name, _ in family}
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "--resume run" in said
    wait_for(lambda: not any(alive(pid) for _, pid in (*family, ("", worker))), timeout_s=10)


def others(parent: int) -> list[tuple[str, int]]:
    """Name and number of the processes that a process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            number, name, rest = re.split(r" \((.*)\) ", path.read_text())
            found += [(name, int(number))] * (rest.split()[1] == str(parent))
    return found


def test_a_range_test_runs_on_the_nodes_to_the_bits_of_one_process(
    tmp_path: Path, nodes: Any
) -> None:
    """The node that the command runs on trains nothing of it."""
    laid_out(tmp_path)
    (tmp_path / "seen").touch()
    argv = (*ARGV, "--lr", "auto", "--tuning-seeds", "1", "--seeds", "1")
    ways = {"serial": ("serial",), "nodes": ("ray", "--address", nodes.address)}
    for out, words in ways.items():
        completed(*argv, "--executor", *words, "--out", out, cwd=tmp_path)
    found = {path.name.removeprefix("tested-") for path in tmp_path.glob("tested-*")}
    assert found == {node.node_id for node in nodes.worker_nodes}
    assert timeless(tmp_path / "nodes") == timeless(tmp_path / "serial")
    assert Run(tmp_path / "nodes").finds == Run(tmp_path / "serial").finds
