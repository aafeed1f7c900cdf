"""The scripts run: the CPU table tiny, the GPU table as a dry run."""

import csv
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import cpu, gpu
from lrbench.options import Recipe


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """The script's handlers are put back."""
    before = [(one, signal.getsignal(one)) for one in (signal.SIGALRM, signal.SIGTERM)]
    yield
    for one, handler in before:
        signal.signal(one, handler)


@pytest.mark.long
def test_the_cpu_script_runs(tmp_path: Path) -> None:
    cpu.main(["--quick", "--threads", "1", "--model", "mlp", "--csv", str(tmp_path / "cpu.csv")])
    rows = list(csv.DictReader((tmp_path / "cpu.csv").read_text().splitlines()))
    assert len(rows) == len(cpu.LOOPS)
    assert all(float(row["images_s"]) > 0 for row in rows), rows


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_without_a_gpu_one_line_says_so(capsys: Any) -> None:
    assert gpu.main([]) == 3
    said = capsys.readouterr()
    assert not said.out and len(said.err.splitlines()) == 1 and "no CUDA device" in said.err


@pytest.mark.long
def test_a_dry_run_trains_every_grid_and_judges_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    monkeypatch.setattr(gpu, "probed", lambda *_: 2)
    assert gpu.main(["--quick", "--device", "cpu", "--out", str(tmp_path), "goals"]) == 0
    text = (tmp_path / "gpu.txt").read_text()
    assert capsys.readouterr().out.endswith(text)
    rows = text.splitlines()[3:]
    assert len(rows) == 9 and all(row.endswith("dry run") for row in rows)
    assert sum("2 at once) (made-up images)" in row for row in rows) == 3


def test_flops_of_an_image_are_counted() -> None:
    data, made_up = gpu.images("mnist", quick=True)
    task = gpu.ImageTask(
        data, Recipe(model="mlp", batch_size=8), torch.device("cpu"), with_test=False
    )
    forward = 2 * (784 * 256 + 256 * 128 + 128 * 10)
    assert made_up
    # backward costs twice that, but for the gradient of the images, which nobody needs
    assert gpu.flops_per_image(task) == 3 * forward - 2 * 784 * 256


def part(*names: str, fault: BaseException | None = None) -> Any:
    def lines(device: str, quick: bool) -> Iterator[gpu.Line]:
        yield from (gpu.Line(name, "1 s") for name in names)
        if fault is not None:
            raise fault

    return lines


def test_lines_measured_before_stay_until_their_part_or_the_machine_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def names(*parts: str) -> list[str]:
        gpu.main(["--quick", "--device", "cpu", "--out", str(tmp_path), *parts])
        kept = json.loads((tmp_path / "gpu.json").read_text())["parts"]
        return [line["name"] for p in gpu.PARTS for line in kept.get(p, [])]

    monkeypatch.setitem(gpu.PARTS, "lenet", part("old", "older"))
    assert names("lenet") == ["old", "older"]
    monkeypatch.setitem(gpu.PARTS, "goals", part("first", fault=RuntimeError("no\nkernel")))
    assert names("goals") == ["first", "goals", "old", "older"]
    assert "RuntimeError: no kernel" in (tmp_path / "gpu.txt").read_text()
    monkeypatch.setitem(gpu.PARTS, "lenet", part("new"))
    assert names("lenet") == ["first", "goals", "new"]
    monkeypatch.setattr(gpu.torch, "__version__", "2.11")
    assert names("lenet") == ["new"]
