from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lrbench.errors import UsageError
from lrbench.rangetest.api import find, max_stable_lr

QUICK: dict[str, Any] = {"points": 40, "seeds": 2, "verify_steps": 8}


class Net(nn.Module):
    """With everything that training changes: batch-norm, dropout, a buffer outside state_dict."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3)
        )
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1  # a new tensor takes the old one's place
        out: Tensor = self.layers(x)
        return out


def dataset() -> TensorDataset:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(96, 6, generator=generator)
    return TensorDataset(x, (x @ torch.randn(6, 3, generator=generator)).argmax(1))


def loader(**settings: Any) -> DataLoader[Any]:
    return DataLoader(dataset(), batch_size=16, shuffle=True, **settings)


def trained(kind: type[torch.optim.Optimizer] = torch.optim.Adam) -> tuple[Net, Any]:
    """A net in the middle of its training: optimizer state, gradients, one part in eval mode."""
    torch.manual_seed(0)
    model = Net()
    optimizer = kind(model.parameters(), lr=1e-2)  # type: ignore[call-arg]
    for x, y in loader():
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.layers[1].eval()
    return model, optimizer


def bits(value: Any) -> Any:
    """A value as nested tuples that compare bit for bit."""
    if isinstance(value, Tensor):
        return (str(value.dtype), tuple(value.shape), value.detach().numpy().tobytes())
    if isinstance(value, dict):
        return tuple((key, bits(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(bits(item) for item in value)
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return value


def everything(model: nn.Module, optimizer: Any, loader: Any) -> Any:
    own = getattr(loader, "generator", None)
    return bits(
        {
            "parameters": dict(model.named_parameters()),
            "identity": [id(p) for p in model.parameters()],
            "buffers": dict(model.named_buffers()),
            "grads": [p.grad for p in model.parameters()],
            "grad identity": [id(p.grad) for p in model.parameters()],
            "flags": [p.requires_grad for p in model.parameters()],
            "modes": [m.training for m in model.modules()],
            "optimizer": optimizer.state_dict(),
            "attributes": sorted(vars(optimizer)),
            "python": random.getstate(),
            "numpy": np.random.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else (),
            "loader": own.get_state() if own is not None else None,
            "grad mode": torch.is_grad_enabled(),
        }
    )


class Stop(BaseException):
    """Like KeyboardInterrupt: no Exception."""


class Interrupts:
    """A loss that ends with an exception after some calls."""

    def __init__(self, fault: BaseException, calls: int) -> None:
        self.fault, self.calls = fault, calls

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        self.calls -= 1
        random.random()
        np.random.rand()
        if self.calls < 0:
            raise self.fault
        return nn.functional.cross_entropy(output, target)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.SGD, torch.optim.RMSprop])
def test_nothing_is_left_behind(kind: Any) -> None:
    model, optimizer = trained(kind)
    data = loader(generator=torch.Generator().manual_seed(7))
    before = everything(model, optimizer, data)
    result = find(model, nn.CrossEntropyLoss(), data, optimizer, **QUICK)
    assert len(result.curve) > 20
    assert everything(model, optimizer, data) == before


@pytest.mark.parametrize("fault", [RuntimeError("mine"), KeyboardInterrupt(), Stop()])
@pytest.mark.parametrize("calls", [0, 1, 30])
def test_nothing_is_left_behind_by_an_exception_which_comes_out_unchanged(
    fault: BaseException, calls: int
) -> None:
    model, optimizer = trained()
    data = loader()
    before = everything(model, optimizer, data)
    with pytest.raises(type(fault)) as caught:
        find(model, Interrupts(fault, calls), data, optimizer, **QUICK)
    assert caught.value is fault
    assert everything(model, optimizer, data) == before


def test_nothing_is_left_behind_by_the_stable_limit() -> None:
    model, optimizer = trained(torch.optim.SGD)
    data = loader()
    before = everything(model, optimizer, data)
    assert max_stable_lr(model, nn.CrossEntropyLoss(), data, optimizer, steps=12).lr
    assert everything(model, optimizer, data) == before


def test_training_goes_on_as_if_nothing_had_been() -> None:
    after = []
    for with_find in (False, True):
        model, optimizer = trained()
        data = loader()
        if with_find:
            find(model, nn.CrossEntropyLoss(), data, optimizer, **QUICK)
        for x, y in data:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        after.append(everything(model, optimizer, data)[0])
    assert after[0] == after[1]


def test_parameters_of_the_loss_and_of_the_optimizer_are_put_back_too() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return nn.functional.cross_entropy(output * self.scale, target)

    model, loss_fn = Net(), Scaled()
    optimizer = torch.optim.SGD([*model.parameters(), *loss_fn.parameters()], lr=0.1)
    find(model, loss_fn, loader(), optimizer, **QUICK)
    assert loss_fn.scale.item() == 1.0 and loss_fn.scale.grad is None


def test_gradients_of_parameters_that_the_optimizer_does_not_step_are_kept() -> None:
    model, _ = trained()
    head = torch.optim.SGD(model.layers[4].parameters(), lr=0.1)
    before = everything(model, head, None)
    find(model, nn.CrossEntropyLoss(), loader(), head, **QUICK)
    assert everything(model, head, None) == before


def test_each_seed_starts_from_the_optimizers_own_state() -> None:
    model, optimizer = trained()
    settings = {**QUICK, "verify": False, "max_stable": False}
    both, second = (
        find(model, nn.CrossEntropyLoss(), loader(), optimizer, **{**settings, "seeds": seeds})
        for seeds in ((3, 4), (4,))
    )
    assert [p for p in both.curve if p.seed == 4] == list(second.curve)


def test_the_answer_is_the_same_each_time() -> None:
    model, optimizer = trained()
    data = loader()
    first, again = (find(model, nn.CrossEntropyLoss(), data, optimizer, **QUICK) for _ in "ab")
    assert first == again


def test_it_works_where_gradients_are_switched_off() -> None:
    model, optimizer = trained()
    with torch.no_grad():
        assert find(model, nn.CrossEntropyLoss(), loader(), optimizer, **QUICK).curve


def test_it_works_in_inference_mode() -> None:
    model, optimizer = trained()
    data = loader()
    before = everything(model, optimizer, data)
    with torch.inference_mode():
        assert find(model, nn.CrossEntropyLoss(), data, optimizer, **QUICK).curve
        assert torch.is_inference_mode_enabled()
    assert everything(model, optimizer, data) == before


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
def test_a_scripted_module_is_put_back_too() -> None:
    torch.manual_seed(0)
    parts = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    model: Any = torch.jit.script(parts)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = bits(model.state_dict())
    assert find(model, nn.CrossEntropyLoss(), loader(), optimizer, **QUICK).curve
    assert bits(model.state_dict()) == before


def test_groups_keep_their_ratio() -> None:
    seen: set[float] = set()
    model = Net()
    groups = [
        {"params": model.layers[0].parameters(), "lr": 0.02},
        {"params": model.layers[4].parameters(), "lr": 0.1},
    ]
    optimizer = torch.optim.SGD(groups)

    def step(model: nn.Module, batch: Any) -> Tensor:
        first, second = (group["lr"] for group in optimizer.param_groups)
        seen.add(round(second / first, 9))
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    find(model, None, loader(), optimizer, step=step, verify=False, max_stable=False, **QUICK)
    assert seen - {5.0} <= {round(0.1 / 0.02, 9)}
    assert [group["lr"] for group in optimizer.param_groups] == [0.02, 0.1]


def test_batches_of_any_kind_through_a_step() -> None:
    data = [{"x": x[None], "y": y[None]} for x, y in dataset()][:40]
    model, optimizer = trained(torch.optim.SGD)
    model.eval()
    model.layers[1] = nn.Identity()

    def step(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(model(batch["x"]), batch["y"])

    assert find(model, None, data, optimizer, step=step, **QUICK).curve


def test_seeds_draw_weights_only_with_make_model() -> None:
    model, optimizer = trained(torch.optim.SGD)
    settings = {**QUICK, "verify": False, "max_stable": False}
    data = list(loader())
    own = find(model, nn.CrossEntropyLoss(), data, optimizer, **settings)
    drawn = find(model, nn.CrossEntropyLoss(), data, optimizer, make_model=Net, **settings)
    assert losses_at_start(own)[0] == pytest.approx(losses_at_start(own)[1], rel=0.2)
    assert losses_at_start(drawn)[0] != losses_at_start(drawn)[1]
    assert min(losses_at_start(drawn)) > max(losses_at_start(own))


def losses_at_start(result: Any) -> list[float]:
    return [point.loss for point in result.curve if point.step == 0]


@pytest.mark.parametrize("make", [iter, lambda data: (batch for batch in data), enumerate])
def test_a_loader_that_can_be_read_only_once_is_refused(make: Any) -> None:
    model, optimizer = trained()
    with pytest.raises(UsageError, match="read only once") as caught:
        find(model, nn.CrossEntropyLoss(), make(list(loader())), optimizer, **QUICK)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("handed", [None, 3, lambda: loader()])
def test_what_is_no_loader_is_refused(handed: Any) -> None:
    model, optimizer = trained()
    with pytest.raises(UsageError, match="holds no batches"):
        find(model, nn.CrossEntropyLoss(), handed, optimizer, **QUICK)


def test_a_loader_may_go_on_for_ever() -> None:
    class Endless:
        def __iter__(self) -> Iterator[Any]:
            while True:
                yield from loader()

    model, optimizer = trained()
    assert find(model, nn.CrossEntropyLoss(), Endless(), optimizer, **QUICK).curve


def test_generators_of_any_kind_that_a_loader_carries_are_put_back_and_follow_the_seed() -> None:
    class Drawing:
        def __init__(self) -> None:
            self.numpy = np.random.default_rng(5)
            self.old = np.random.RandomState(5)
            self.python = random.Random(5)

        def states(self) -> Any:
            return bits(
                (self.numpy.bit_generator.state, self.old.get_state(), self.python.getstate())
            )

        def __iter__(self) -> Iterator[Any]:
            for _ in range(6):
                places = [self.numpy.integers(96, size=8), self.old.randint(96, size=8)]
                places.append(np.array([self.python.randrange(96) for _ in range(8)]))
                yield dataset()[torch.from_numpy(np.concatenate(places))]

    model, optimizer = trained()
    data = Drawing()
    before = data.states()
    first, again = (find(model, nn.CrossEntropyLoss(), data, optimizer, **QUICK) for _ in "ab")
    assert data.states() == before
    data.numpy.random(), data.old.rand(), data.python.random()
    assert find(model, nn.CrossEntropyLoss(), data, optimizer, **QUICK) == first == again


def test_a_loader_that_hides_an_iterator_is_refused() -> None:
    class Once:
        def __init__(self) -> None:
            self.iterator = iter(list(loader()))

        def __iter__(self) -> Iterator[Any]:
            return iter(self.iterator)

        def __len__(self) -> int:
            return 6

    model, optimizer = trained()
    with pytest.raises(UsageError, match="no batch when read again"):
        find(model, nn.CrossEntropyLoss(), Once(), optimizer, **QUICK)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"points": 1}, "points"),
        ({"start_lr": 1.0, "end_lr": 0.1}, "start_lr"),
        ({"start_lr": -1.0}, "start_lr"),
        ({"end_lr": float("nan")}, "end_lr"),
        ({"seeds": 0}, "seeds"),
        ({"rule": "best"}, "rule"),
        ({"mode": "log"}, "mode"),
        ({"window": 0.0}, "window"),
        ({"precision": "fp8"}, "precision"),
        ({"accumulate": 0}, "accumulate"),
        ({"accumulate": 1.5}, "accumulate"),
        ({"seeds": [3, 3]}, "seeds: each must be another"),
        ({"seeds": []}, "seeds: at least one"),
        ({"seeds": 2.0}, "seeds: pass how many"),
        ({"per": "year"}, "^per: must be 'batch' or 'epoch'"),
        ({"start_lr": float("inf")}, "^start_lr: must be a finite number"),
        ({"step": 3}, "^step: pass a function"),
        ({"make_model": lambda: nn.Linear(6, 3)}, "^make_model: .* other weights"),
        ({"val_loader": 7}, "^val_loader"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_in_one_line(
    change: dict[str, Any], word: str
) -> None:
    model, optimizer = trained()
    with pytest.raises(UsageError, match=word) as caught:
        find(model, nn.CrossEntropyLoss(), loader(), optimizer, **{**QUICK, **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("loss_fn", "words"),
    [
        (lambda output, target: 0.5, "loss_fn: it gave a float"),
        (lambda output, target: None, "loss_fn: it gave a NoneType"),
        (lambda output, target: output, "loss_fn: it gave 48 numbers, not one"),
        (lambda output, target: output.mean().detach(), "loss_fn: its loss has no gradient"),
        (lambda output, target: target.sum(), "loss_fn: its loss has no gradient"),
    ],
)
def test_what_is_no_loss_is_refused_in_one_line(loss_fn: Any, words: str) -> None:
    model, optimizer = trained()
    before = everything(model, optimizer, None)
    with pytest.raises(UsageError, match=words):
        find(model, loss_fn, loader(), optimizer, **QUICK)
    assert everything(model, optimizer, None) == before


def test_what_is_no_model_or_optimizer_is_refused() -> None:
    model, optimizer = trained()
    lazy = nn.Sequential(nn.LazyLinear(3))
    with torch.inference_mode():
        inferring = Net()
    cases: list[Any] = [
        (None, optimizer, "model: pass an nn.Module, not a NoneType"),
        (Net, optimizer, "model: pass an nn.Module, not the class Net"),
        (lazy, optimizer, "lazy layers"),
        (inferring, optimizer, "inference mode"),
        (model, None, "optimizer: pass one of the model's parameters, not a NoneType"),
        (model, torch.optim.SGD, "not the class SGD"),
        (model, torch.optim.lr_scheduler.StepLR(optimizer, 3), "not a StepLR"),
    ]
    for own_model, own_optimizer, words in cases:
        with pytest.raises(UsageError, match=words):
            find(own_model, nn.CrossEntropyLoss(), loader(), own_optimizer, **QUICK)


def test_the_stable_limit_needs_a_range_and_names_its_own_arguments() -> None:
    model, optimizer = trained()
    for change, words in (
        ({"start_lr": 1.0, "end_lr": 0.1}, "start_lr 1 must lie below"),
        ({"steps": 1}, "^steps: "),
    ):
        with pytest.raises(UsageError, match=words):
            max_stable_lr(model, nn.CrossEntropyLoss(), loader(), optimizer, **change)


def test_a_strangers_optimizer_is_refused() -> None:
    optimizer = torch.optim.SGD(Net().parameters(), lr=0.1)
    with pytest.raises(UsageError, match="none of the model's parameters"):
        find(Net(), nn.CrossEntropyLoss(), loader(), optimizer)


def test_an_optimizer_that_asks_for_losses_itself_is_refused() -> None:
    model = Net()
    with pytest.raises(UsageError, match="steps of LBFGS need a closure"):
        find(model, nn.CrossEntropyLoss(), loader(), torch.optim.LBFGS(model.parameters()))


def test_a_ratio_to_nothing_is_refused() -> None:
    model = Net()
    groups = [
        {"params": model.layers[0].parameters(), "lr": 0.0},
        {"params": model.layers[4].parameters(), "lr": 0.1},
    ]
    with pytest.raises(UsageError, match="first group is 0"):
        find(model, nn.CrossEntropyLoss(), loader(), torch.optim.SGD(groups))


def test_no_file_is_written(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model, optimizer = trained()
    find(model, nn.CrossEntropyLoss(), loader(), optimizer, **QUICK)
    assert list(tmp_path.iterdir()) == []


def test_validation_data_judge_and_may_make_the_curve() -> None:
    model, optimizer = trained()
    data = list(loader())
    held = DataLoader(
        dataset(), batch_size=32, shuffle=True, generator=torch.Generator().manual_seed(3)
    )
    before = everything(model, optimizer, held)
    answers = [
        find(model, nn.CrossEntropyLoss(), data, optimizer, val_loader=held, val_loss=on, **QUICK)
        for on in (False, True)
    ]
    assert everything(model, optimizer, held) == before
    assert answers[0].curve[0].loss != answers[1].curve[0].loss
    assert all(
        answer.settings["val_loss"] is on for answer, on in zip(answers, (False, True), strict=True)
    )
    checked = find(
        model, nn.CrossEntropyLoss(), data, optimizer, val_loader=held,
        **{**QUICK, "verify": True, "start_lr": 1e-5, "points": 80},
    )  # fmt: skip
    assert checked.verification is None or checked.verification["data"] == "validation"


def test_a_validation_curve_looks_at_one_batch_after_each_step() -> None:
    """At most twice the time: forward over one more batch costs less than a training step."""
    seen: list[tuple[bool, float]] = []

    def step(model: nn.Module, batch: Any) -> Tensor:
        seen.append((model.training, float(batch[1][0])))
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    model, optimizer = trained()
    model.train()
    settings = {"points": 12, "seeds": 1, "verify": False, "max_stable": False, "end_lr": 1e-4}
    held = list(loader())
    find(
        model, None, list(loader()), optimizer, step=step, val_loader=held, val_loss=True,
        **settings,
    )  # fmt: skip
    modes = [training for training, _ in seen]
    assert modes == [True, False] * 12
    first = float(held[0][1][0])
    assert [label for training, label in seen if not training] == 12 * [first]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_forward_pass_computes_as_asked(precision: Any) -> None:
    kinds = set()

    def step(model: nn.Module, batch: Any) -> Tensor:
        output = model(batch[0])
        kinds.add(output.dtype)
        return nn.functional.cross_entropy(output.float(), batch[1])

    model, optimizer = trained()
    find(model, None, loader(), optimizer, step=step, precision=precision, **QUICK)
    assert kinds == {torch.float32 if precision == "fp32" else torch.bfloat16}


def test_several_inputs_and_dictionaries_reach_a_step() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(6, 3), nn.Linear(6, 3)

        def forward(self, x: Tensor, other: Tensor) -> Tensor:
            out: Tensor = self.first(x) + self.second(other)
            return out

    model = Sum()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    triples = [(x, x.flip(1), y) for x, y in loader()]
    first = find(model, nn.CrossEntropyLoss(), triples, optimizer, **QUICK)
    named = [{"x": (x, other), "y": y} for x, other, y in triples]

    def step(model: nn.Module, batch: dict[str, Any]) -> Tensor:
        return nn.functional.cross_entropy(model(*batch["x"]), batch["y"])

    assert find(model, None, named, optimizer, step=step, **QUICK) == first


def test_batches_that_make_one_step_together_are_one_larger_batch() -> None:
    """A plain linear model: the mean gradient of two halves is that of the whole."""
    x, y = (torch.stack(parts) for parts in zip(*dataset(), strict=True))
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    settings = {**QUICK, "verify": False, "max_stable": False}
    whole = [(x[:32], y[:32]), (x[32:64], y[32:64])]
    halves = [(part[0][i : i + 16], part[1][i : i + 16]) for part in whole for i in (0, 16)]
    results = [
        find(model, nn.CrossEntropyLoss(), data, optimizer, accumulate=k, **settings)
        for data, k in ((whole, 1), (halves, 2), (halves, 1))
    ]
    curves = [[point.loss for point in result.curve][:30] for result in results]
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)
    assert curves[2] != pytest.approx(curves[0], rel=1e-2)
    assert results[1].settings["accumulate"] == 2


@pytest.mark.parametrize("which", [2, -1, "head"])
def test_a_group_that_is_not_there_is_refused(which: Any) -> None:
    model, optimizer = trained()
    with pytest.raises(UsageError, match="sweep_group"):
        find(model, nn.CrossEntropyLoss(), loader(), optimizer, sweep_group=which, **QUICK)


def test_validation_data_must_be_there_and_be_readable_again() -> None:
    model, optimizer = trained()
    loss = nn.CrossEntropyLoss()
    with pytest.raises(UsageError, match="val_loss: pass a val_loader"):
        find(model, loss, loader(), optimizer, val_loss=True, **QUICK)
    with pytest.raises(UsageError, match="val_loader: it holds no batch"):
        find(model, loss, loader(), optimizer, val_loader=[], **QUICK)
    with pytest.raises(UsageError, match="val_loader: it can be read only once"):
        find(model, loss, loader(), optimizer, val_loader=iter(list(loader())), **QUICK)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_nothing_is_left_behind_on_cuda() -> None:
    torch.manual_seed(0)
    model = Net().cuda()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    before = {name: value.cpu() for name, value in model.state_dict().items()}
    generator = torch.cuda.get_rng_state()
    result = find(model, nn.CrossEntropyLoss(), loader(), optimizer, **QUICK)
    assert len(result.curve) > 20
    assert all(torch.equal(before[name], v.cpu()) for name, v in model.state_dict().items())
    assert torch.equal(generator, torch.cuda.get_rng_state())
