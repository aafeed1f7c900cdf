"""The value of `configure_optimizers`, as lightning 2.6.6 declares it for one optimizer."""

from typing import NotRequired, Required, TypedDict

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

class LRSchedulerConfigType(TypedDict, total=False):
    scheduler: Required[LRScheduler | ReduceLROnPlateau]
    name: str | None
    interval: str
    frequency: int
    reduce_on_plateau: bool
    monitor: str | None
    strict: bool

class OptimizerLRSchedulerConfig(TypedDict):
    optimizer: Optimizer
    lr_scheduler: LRScheduler | ReduceLROnPlateau | LRSchedulerConfigType
    monitor: NotRequired[str]

OptimizerLRScheduler = Optimizer | OptimizerLRSchedulerConfig | None
