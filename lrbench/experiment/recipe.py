"""All that fixes a training but its schedule, learning rate, seed and length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from lrbench.early_stop import EarlyStop
from lrbench.errors import UsageError
from lrbench.experiment.values import BatchSize, Finite, Fraction, Frozen, Momentum, Positive
from lrbench.plugins import is_own


def _default_or_own(text: str) -> str:
    if text not in ("default", "none") and not is_own(text):
        raise ValueError("must be default, none or module:function")
    return text


def _settings(texts: tuple[str, ...]) -> tuple[str, ...]:
    keys = [text.partition("=")[0].strip() for text in texts]
    for key, text in zip(keys, texts, strict=True):
        if "=" not in text or not key.isidentifier():
            raise UsageError(f"{text!r} is not of the form key=value")
        if keys.count(key) > 1:
            raise UsageError(f"{key} is given twice")
    return tuple(sorted(texts))


def _early_stop(text: str) -> str:
    return str(EarlyStop.parse(text)) if text else ""


class Recipe(Frozen):
    """All that fixes a training but its schedule, learning rate, seed and length.

    Where there is a `task`, that is the problem, and there is no dataset and no model here.
    """

    dataset: str = "mnist5k"
    model: str = "lenet"
    optimizer: str = "sgd"
    momentum: Momentum = 0.9
    nesterov: bool = False
    weight_decay: Annotated[Finite, Field(ge=0)] = 5e-4
    batch_size: BatchSize = 128
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    augment: Annotated[str, AfterValidator(_default_or_own)] = "default"
    val_fraction: Fraction = 0.1
    groups: tuple[str, ...] = ()
    weights: str = ""
    optimizer_options: Annotated[tuple[str, ...], AfterValidator(_settings)] = ()
    loss: str = ""
    task: str = ""
    accumulate: Annotated[int, Field(ge=1)] | None = None
    clip_norm: Positive | None = None
    clip_value: Positive | None = None
    no_decay_norms: bool = False
    label_smoothing: Fraction | None = None
    ema: Fraction | None = None
    tta: Literal["", "flip"] = ""
    early_stop: Annotated[str, AfterValidator(_early_stop)] = ""
    init_from: str = ""
    init_digest: str = ""
    compile: bool = False

    @model_validator(mode="before")
    @classmethod
    def _off(cls, fields: Any) -> Any:
        """One micro-batch a step and no smoothing are what there is without the option."""
        if not isinstance(fields, Mapping):
            return fields
        off = {"accumulate": 1, "label_smoothing": 0}
        return {key: None if off.get(key) == value else value for key, value in fields.items()}

    @property
    def micro_batches(self) -> int:
        """Batches whose gradients make one optimizer step."""
        return self.accumulate or 1

    @property
    def effective_batch(self) -> int:
        """Samples that one optimizer step sees."""
        return self.batch_size * self.micro_batches

    @property
    def title(self) -> str:
        """What is trained on what."""
        return self.task or f"{self.model} on {self.dataset}"
