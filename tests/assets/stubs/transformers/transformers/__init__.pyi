"""What docs/own.md uses of transformers 5.23.0, with its signatures: src/transformers/trainer.py
and training_args.py of https://github.com/huggingface/transformers."""

from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset

class TrainingArguments:
    num_train_epochs: float
    gradient_accumulation_steps: int
    @property
    def train_batch_size(self) -> int: ...

class Trainer:
    def __init__(
        self,
        model: nn.Module | None = None,
        args: TrainingArguments | None = None,
        data_collator: Any = None,
        train_dataset: Dataset[Any] | None = None,
        eval_dataset: Dataset[Any] | dict[str, Dataset[Any]] | None = None,
        *,
        optimizers: tuple[Optimizer | None, LambdaLR | None] = (None, None),
    ) -> None: ...
    def train(self) -> Any: ...
