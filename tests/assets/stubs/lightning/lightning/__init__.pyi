"""What docs/own.md uses of lightning 2.6.6, with its signatures: lightning/pytorch/core/module.py
and lightning/pytorch/trainer/trainer.py of https://github.com/Lightning-AI/pytorch-lightning."""

from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn

class Trainer:
    @property
    def max_epochs(self) -> int | None: ...
    @property
    def estimated_stepping_batches(self) -> int | float: ...

class LightningModule(nn.Module):
    @property
    def trainer(self) -> Trainer: ...
    def configure_optimizers(self) -> OptimizerLRScheduler: ...
