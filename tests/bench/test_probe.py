"""The probe, dry-run on a CPU: the same code, without captures."""

from __future__ import annotations

import json

import pytest
import torch

from lrbench.__main__ import run
from lrbench.bench.probe import NEEDS_CUDA, Finding, operations, probe
from lrbench.bench.program import Program
from lrbench.engine.repeat import WARM_UP, abreast, in_turn, repeated
from lrbench.experiment import Recipe

CPU = torch.device("cpu")
RECIPE = Recipe(batch_size=4)


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    return list(probe("cpu", small=True))


def test_every_finding_is_a_number_or_says_what_it_needs(findings: list[Finding]) -> None:
    assert {found.note for found in findings if found.value is None} == {NEEDS_CUDA}
    values = {found.name: found.value for found in findings if found.value is not None}
    assert values["learning rate changed in a repeated step: largest difference"] == 0
    assert min(v for k, v in values.items() if "learning rate" not in k) > 0
    lenet, resnet = (values[f"{name}: operations of a step"] for name in ("lenet", "resnet8"))
    assert 30 < lenet < resnet < 120


def test_operations_leave_views_out() -> None:
    x = torch.ones(4, 4)
    assert operations(lambda: (x @ x.t()).view(16).add(1)) == 2


def test_a_program_hears_its_learning_rate() -> None:
    program = Program(RECIPE, (1, 28, 28), CPU)
    step = repeated(program, CPU)
    before = [p.detach().clone() for p in program.model.parameters()]
    program.lr.fill_(0.0)
    step()
    assert all(torch.equal(a, b) for a, b in zip(before, program.model.parameters(), strict=True))
    program.lr.fill_(0.1)
    losses = []
    for _ in range(8):
        step()
        losses.append(program.loss.item())
    assert losses[-1] < losses[0]


def test_abreast_every_work_is_done_once() -> None:
    done: list[int] = []
    works = [lambda n=n: done.append(n) for n in range(3)]  # type: ignore[misc]
    abreast(works, CPU)()
    assert done == [0, 1, 2]
    repeated(in_turn(works), CPU)
    assert len(done) == 3 + 3 * WARM_UP


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_a_captured_step_gives_the_bits_of_an_eager_one() -> None:
    """Of matrix products alone: convolutions may add their parts in any order."""
    device = torch.device("cuda")
    recipe = Recipe(model="mlp", batch_size=4)
    eager, captured = (Program(recipe, (1, 28, 28), device) for _ in range(2))
    step = repeated(captured, device)
    for _ in range(WARM_UP):
        eager()
    for lr in (0.05, 0.01):
        eager.lr.fill_(lr)
        captured.lr.fill_(lr)
        eager()
        step()
    pairs = zip(eager.model.parameters(), captured.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_command_prints_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--probe", "--device", "cpu", "--threads", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["device"] == "cpu" and len(document["findings"]) > 10
