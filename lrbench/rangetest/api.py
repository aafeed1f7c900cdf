"""The range test for any module and loader, which it leaves unchanged."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from numbers import Integral
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from lrbench.errors import UsageError, in_python, named_as_in_python
from lrbench.optimizers import needs_closure
from lrbench.options import FindSpec, options_of, refuse_unknown, refused, with_keywords
from lrbench.rangetest.find import range_test
from lrbench.rangetest.groups import ratio_of
from lrbench.rangetest.probe import Prober
from lrbench.rangetest.result import FindResult
from lrbench.rangetest.stability import Stability, largest_stable, settling_steps
from lrbench.rangetest.state import Contents, preserved
from lrbench.rangetest.training import Setup
from lrbench.tasks.base import to_device
from lrbench.tasks.loaders import LoaderTask, LossFn, StepFn, check_loader
from lrbench.tasks.randomness import generators, seed_all

VAL_BATCHES = 16
OTHERWISE = {  # options of `lrbench find` that mean something else here, or nothing
    "step", "start_lr", "seeds", "seed", "sweep_group", "batch_sizes", "momenta", "schedule",
    "epochs",
}  # fmt: skip
KEYWORDS = {key: each for key, each in options_of(FindSpec).items() if key not in OTHERWISE}


@named_as_in_python()
@with_keywords(KEYWORDS)
def find(
    model: nn.Module,
    loss_fn: LossFn | None,
    loader: Iterable[Any],
    optimizer: Optimizer,
    *,
    schedule: str | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    per: Literal["batch", "epoch"] = "batch",
    seeds: int | Sequence[int] = 3,
    start_lr: float | Sequence[float] = 1e-6,
    verify_steps: int = 64,
    step: StepFn | None = None,
    make_model: Callable[[], nn.Module] | None = None,
    precision: Literal["fp32", "bf16"] = "fp32",
    accumulate: int = 1,
    sweep_group: int | None = None,
    val_loader: Iterable[Any] | None = None,
    progress: bool | None = None,
    **options: Any,
) -> FindResult:
    """Run a range test on a module with its own optimizer, on the module's device.

    Weights, buffers, gradients, training modes, the optimizer and every random generator are
    restored bit for bit when this returns or raises; no files are written. Parameter groups keep
    the ratio of their learning rates, and the answer is for the first group, unless one group is
    swept alone.

    Args:
        model: trained in place, starting from the same weights for each seed and short training.
        loss_fn: `loss_fn(model(*inputs), target)` returns the mean loss of a batch.
        loader: any re-iterable of `(input, ..., target)` batches, such as a DataLoader.
        optimizer: over the model's parameters; it starts from its current state.
        schedule: the schedule of the planned run, such as "warmup(5%) + cosine"; the answer is its
            base learning rate.
        epochs: length of that run, if the loader has a length; 3 by default.
        steps: length of that run in optimizer steps, instead of `epochs`.
        per: whether a point of the curve is a batch or an epoch.
        seeds: how many, or a list. A seed fixes data order and dropout; it draws weights only with
            `make_model`.
        start_lr: the lowest learning rate; a list, one per group, sets the ratio of the groups.
        step: `step(model, batch) -> loss`, for any other kind of batch.
        make_model: returns a module of the same shape with newly drawn weights.
        accumulate: batches per optimizer step; the step's loss is their mean.
        sweep_group: index of the only parameter group to sweep; the others keep their learning
            rates, and the answer is for this group.
        val_loader: validation batches, which judge the short trainings that verify the answer;
            without it, four batches of the loader are used.
        progress: show a progress bar on stderr; by default, on a terminal and in a notebook.

    Raises:
        UsageError: an invalid argument, or a loader that can be read only once.
    """
    refuse_unknown("find", options, KEYWORDS)
    starts = list(start_lr) if isinstance(start_lr, Sequence) else [start_lr]
    spec = checked_spec(
        {"step": "per"},
        **options,
        step=per,
        start_lr=starts[0] if starts else start_lr,
        schedule=schedule,
        epochs=epochs,
        steps=steps,
        seeds=checked_seeds(seeds),
        verify_steps=verify_steps,
        recipe={"precision": precision, "accumulate": accumulate},
    )
    if epochs is not None and steps is not None:
        raise UsageError("find: epochs and steps both set the length of the run: give only one")
    if spec.val_loss and val_loader is None:
        raise UsageError("val_loss: pass a val_loader as well")
    if val_loader is not None:
        check_loader("val_loader", val_loader)
    with borrowed(
        model, loss_fn, loader, optimizer, spec, step=step, make_model=make_model,
        val_loader=val_loader, sweep_group=sweep_group, starts=starts,
    ) as setup:  # fmt: skip
        # not earlier: importing rich draws from Python's generator
        from lrbench.report.find_live import find_bar

        settings = {
            **spec.model_dump(mode="json", exclude={"recipe"}),
            "sweep_group": sweep_group,
            "start_lrs": starts,
            "model": type(model).__name__,
            "optimizer": type(optimizer).__name__,
            "precision": precision,
            "accumulate": accumulate,
        }
        with find_bar(progress) as show:
            for event in range_test(setup, settings):
                show(event)
    assert isinstance(event, FindResult)
    return replace(event, reasons=tuple(map(in_python, event.reasons)))


@named_as_in_python()
def max_stable_lr(
    model: nn.Module,
    loss_fn: LossFn | None,
    loader: Iterable[Any],
    optimizer: Optimizer,
    *,
    start_lr: float = 1e-5,
    end_lr: float = 1e3,
    steps: int = 64,
    seed: int = 0,
    ratio: float = 1.05,
    step: StepFn | None = None,
    make_model: Callable[[], nn.Module] | None = None,
    precision: Literal["fp32", "bf16"] = "fp32",
    accumulate: int = 1,
    sweep_group: int | None = None,
) -> Stability:
    """The largest learning rate at which `steps` steps of training converge.

    Bisects in log LR with constant-LR trainings, each from the given weights, until the bracket is
    within `ratio`. On a quadratic with curvature h the answer is 2/h for plain SGD and 2(1+m)/h
    with momentum m (Polyak 1964). The arguments are restored as in `find`.

    Raises:
        UsageError: an invalid argument, or a loader that can be read only once.
    """
    spec = checked_spec(
        {"verify_steps": "steps"},
        start_lr=start_lr,
        end_lr=end_lr,
        seeds=checked_seeds([seed]),
        verify_steps=steps,
        recipe={"precision": precision, "accumulate": accumulate},
    )
    if not start_lr < end_lr:
        raise UsageError(f"start_lr {start_lr:g} must lie below end_lr {end_lr:g}")
    if not ratio > 1:
        raise UsageError(f"ratio: must be above 1, not {ratio}")
    with borrowed(
        model, loss_fn, loader, optimizer, spec, step=step, make_model=make_model,
        sweep_group=sweep_group,
    ) as setup:  # fmt: skip
        *_, found = largest_stable(
            Prober(setup, settling_steps(setup)),
            spec.seeds[0],
            start_lr=start_lr,
            end_lr=end_lr,
            ratio=ratio,
        )
    assert isinstance(found, Stability)
    return found


class _Borrowed(LoaderTask):
    """The user's module, trained in place because the optimizer holds its parameters."""

    contents: Contents
    validation: Iterable[Any] | None

    def model(self, seed: int) -> nn.Module:
        self.contents.restore()
        if self._make_model is not None:
            drawn = super().model(seed)
            try:
                self._module.load_state_dict(drawn.state_dict())
            except (RuntimeError, AttributeError):
                raise UsageError(
                    "make_model: its module's weights do not match the model's"
                ) from None
        return self._module

    def val_batches(self, samples: int) -> list[Any] | None:
        """The first batches, up to `samples` samples and at most `VAL_BATCHES`."""
        if self.validation is None:
            return None
        seed_all(0, generators(self.validation))
        found = [to_device(batch, self._device) for batch in islice(self.validation, VAL_BATCHES)]
        if not found:
            raise UsageError("val_loader: it holds no batches")
        size = int(getattr(self.validation, "batch_size", None) or 1)
        return found[: max(1, samples // size)]


@contextmanager
def borrowed(
    model: nn.Module,
    loss_fn: LossFn | None,
    loader: Iterable[Any],
    optimizer: Optimizer,
    spec: FindSpec,
    *,
    step: StepFn | None = None,
    make_model: Callable[[], nn.Module] | None = None,
    val_loader: Iterable[Any] | None = None,
    sweep_group: int | None = None,
    starts: Sequence[float] = (),
) -> Iterator[Setup]:
    """The setup of a range test; everything is restored at the end, even after an exception."""
    check_model(model)
    check_optimizer(model, optimizer)
    for name, given in {"loss_fn": loss_fn, "step": step, "make_model": make_model}.items():
        if given is not None and not callable(given):
            raise UsageError(f"{name}: pass a function, not {_kind(given)}")
    group_lrs = ratio_of(optimizer, starts, sweep_group)
    own_loss = [loss_fn] if isinstance(loss_fn, nn.Module) else []

    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        preserved([model, *own_loss], optimizer, loader, val_loader) as contents,
    ):
        task = _Borrowed(model, loss_fn, loader, step=step, make_model=make_model)
        task.contents, task.validation = contents, val_loader
        yield Setup(spec, task, lambda _: (optimizer, group_lrs))


def checked_spec(names: Mapping[str, str], **fields: Any) -> FindSpec:
    """The spec of a range test. In error messages, `names` maps fields to argument names."""
    try:
        return FindSpec(**fields)
    except ValidationError as fault:
        raise refused(fault, names) from None


def checked_seeds(seeds: Any) -> tuple[Any, ...]:
    """The seeds: the first n from 0, or those listed. Raises UsageError for duplicates, which would
    look like agreement.

    >>> checked_seeds(2), checked_seeds([7, 5])
    ((0, 1), (7, 5))
    """
    with suppress(TypeError):
        found = tuple(range(seeds) if isinstance(seeds, Integral) else seeds)
        if found and len(set(found)) == len(found):
            return found
    raise UsageError(f"seeds: pass how many, or a list without duplicates, not {seeds!r:.60}")


def check_model(model: nn.Module) -> None:
    """Raise UsageError unless this is a module whose weights can be restored."""
    if not isinstance(model, nn.Module):
        raise UsageError(f"model: pass an nn.Module, not {_kind(model)}")
    tensors = [*model.parameters(), *model.buffers()]
    if any(is_lazy(tensor) for tensor in tensors):
        raise UsageError("model: its lazy layers have no weights yet", hint="call it on a batch")
    if any(tensor.is_inference() for tensor in tensors):
        raise UsageError("model: it was made in inference mode, so it cannot be trained")


def check_optimizer(model: nn.Module, optimizer: Optimizer) -> None:
    """Raise UsageError unless this optimizer can train the model."""
    if isinstance(optimizer, type) or not hasattr(optimizer, "param_groups"):
        raise UsageError(f"optimizer: pass one for the model's parameters, not {_kind(optimizer)}")
    if needs_closure(optimizer):
        raise UsageError(
            f"optimizer: steps of {type(optimizer).__name__} need a closure, which is not supported"
        )
    own = {id(parameter) for parameter in model.parameters()}
    stepped = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if not own & stepped:
        raise UsageError("optimizer: it holds none of the model's parameters")


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
