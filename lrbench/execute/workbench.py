"""What all trials of a run share on this machine: the device and the resident data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, count, pairwise
from statistics import median_high
from typing import TYPE_CHECKING, Any, cast

from lrbench import __version__
from lrbench.engine.clock import ramp
from lrbench.engine.device import (
    apply_precision,
    check_device,
    default_threads,
    describe,
    make_deterministic,
    missing_compiler,
    open_device,
)
from lrbench.errors import MachineError, UsageError
from lrbench.options import FindSpec, Host, Recipe, TrialSpec
from lrbench.plugins import is_own, printing_apart
from lrbench.records import TrialEnd

if TYPE_CHECKING:
    import torch

    from lrbench.engine.graphs.program import Program
    from lrbench.rangetest.training import Elsewhere, Setup
    from lrbench.tasks.base import OrderedTask, Task
    from lrbench.tasks.source import Source


@dataclass(frozen=True)
class Workbench:
    """A recipe prepared on a host. Device and data are opened on first use; `progress(done, total)`
    is called as images are read."""

    recipe: Recipe
    host: Host
    progress: Callable[[int, int], None] | None = None
    _others: dict[Recipe, Workbench] = field(default_factory=dict, init=False, compare=False)
    _setups: dict[FindSpec, Setup] = field(default_factory=dict, init=False, compare=False)

    @property
    def jobs(self) -> int:
        """The number of parallel trials; a guess if a cluster decides it."""
        return self.host.jobs or default_threads()

    @property
    def threads(self) -> int:
        return self.host.threads or max(1, default_threads() // self.jobs)

    @printing_apart()
    def open(self) -> None:
        """Find the device, read the data, try the user's own parts and build a model, before
        anything is written.

        Raises:
            MachineError: no such device, a dataset that is missing or damaged.
            UsageError: a batch larger than an epoch, a group that matches no parameter, a model
                that is not new each time.
        """
        from lrbench.models.weights import read as read_weights
        from lrbench.optimizers import build

        missing = missing_compiler(on_cuda=self.device.type == "cuda")
        if self.recipe.compile and missing:
            raise MachineError(f"--compile {missing}", hint="install it, or leave --compile out")
        read_weights.cache_clear()  # files are read once per run, even if they change
        self.source.check(self.recipe)
        model, own = self.tuning_task.model(0), self.recipe.task or self.recipe.model
        build(self.recipe, model, lr=1.0)
        if is_own(own):
            again = {id(weight) for weight in self.tuning_task.model(1).parameters()}
            if any(id(weight) in again for weight in model.parameters()):
                raise UsageError(
                    f"{own}: it makes the same weights twice, so that trials would train one model",
                    hint="make a new model in each call, or return copy.deepcopy(model)",
                )

    def at(self, recipe: Recipe) -> Workbench:
        """The same host and resident data with another recipe, which may differ in batch size and
        in everything that the data does not depend on."""
        if recipe == self.recipe:
            return self
        if recipe not in self._others:
            other = self._others[recipe] = self._like(recipe=recipe)
            vars(other)["at_once"] = self.at_once
        return self._others[recipe]

    def with_threads(self, threads: int) -> Workbench:
        """The same device and data; sets this process to another number of threads."""
        import torch

        other = self._like(host=replace(self.host, threads=threads))
        torch.set_num_threads(threads)
        return other

    def _like(self, **changes: Any) -> Workbench:
        other = replace(self, **changes)
        vars(other).update(device=self.device, source=self.source)
        return other

    @cached_property
    def device(self) -> torch.device:
        """Raises MachineError if there is no such device."""
        import torch

        found = open_device(self.host.device)
        torch.set_num_threads(self.threads)  # their number changes the last bits on a CPU
        if self.host.deterministic:
            make_deterministic(found)
        apply_precision(found, self.recipe.precision)
        return found

    @cached_property
    def source(self) -> Source:
        """Raises MachineError if the dataset is missing or damaged."""
        from lrbench.tasks.source import open_source

        host = self.host
        return open_source(self.recipe, self.device, host.data_dir, host.download, self.progress)

    @cached_property
    def machine(self) -> dict[str, Any]:
        host = self.host
        switches = {"deterministic": host.deterministic, "graph": host.graph}
        return describe(self.device, self.threads, **switches, at_once=self.at_once)

    def facts(self) -> dict[str, Any]:
        """For the manifest: versions, device, threads, and the data actually read."""
        return {
            "lrbench": __version__,
            "machine": self.machine,
            "device": self.machine["device"],
            "threads": self.threads,
            "data": dict(self.source.facts()),
        }

    def failed_end(self, trial: TrialSpec, reason: str) -> TrialEnd:
        return TrialEnd(trial.id, "failed", reason[:500], machine=self.machine)

    @cached_property
    def tuning_task(self) -> Task:
        """The task for tuning and range tests: without the test set."""
        return self.source.task(self.recipe, with_test=False)

    @cached_property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch.

        Raises:
            UsageError: an epoch has too few batches for one step.
        """
        from lrbench.tasks.base import optimizer_steps

        return optimizer_steps(self.tuning_task, self.recipe)

    @cached_property
    def final_task(self) -> Task:
        """The same task with the test set, for final trials only."""
        return self.source.task(self.recipe, with_test=True)

    @cached_property
    def at_once(self) -> int:
        """Number of parallel trials in a process; probed on CUDA, as other devices gain nothing."""
        from lrbench.engine.graphs.program import probed, why_not

        if self.host.at_once is not None:
            return self.host.at_once
        if self.device.type != "cuda" or why_not(self.tuning_task, self.recipe):
            return 1
        return probed(cast("OrderedTask", self.tuning_task), self.recipe, self.device)

    @cached_property
    def program(self) -> Program | str:
        """The program that trains the epochs of this recipe's trials with `--graph`, or why there
        is none."""
        from lrbench.engine.graphs.program import Program, why_not

        task = self.tuning_task
        if reason := why_not(task, self.recipe):
            return reason
        try:
            return Program(cast("OrderedTask", task), self.recipe, self.at_once)
        except UsageError as fault:
            return fault.message
        except Exception as fault:  # a model may do what a graph cannot capture
            check_device(self.device)
            return f"its step could not be captured: {' '.join(str(fault).split())}"[:300]

    def find(self, spec: FindSpec, elsewhere: Elsewhere | None = None) -> Iterator[Any]:
        """Run a range test, on `elsewhere` if given; yields progress events, then its result."""
        from lrbench.rangetest.find import find_events

        return find_events(spec, lambda recipe: self.at(recipe).tuning_task, elsewhere)

    def setup(self, spec: FindSpec) -> Setup:
        """What a range test trains, prepared once."""
        from lrbench.rangetest.find import setup_of

        if spec not in self._setups:
            self._setups[spec] = setup_of(spec, self.at(spec.recipe).tuning_task)
        return self._setups[spec]

    @printing_apart()
    def step_s(self, probes: int = 12) -> float:
        """Seconds per training step, from a short probe: the median after a warm-up."""
        from lrbench.engine.train import steps
        from lrbench.optimizers import build

        task = self.tuning_task
        model = task.model(0)
        optimizer, groups = build(self.recipe, model, 1e-6)
        batches = chain.from_iterable(task.train_batches(0, epoch) for epoch in count())
        rows = ramp([1e-6] * probes, [1.0] * len(groups))
        marks = [time.perf_counter()]
        for step in steps(task, model, optimizer, batches, rows, self.recipe):
            step.loss.item()
            marks.append(time.perf_counter())
        return median_high(end - begin for begin, end in pairwise(marks))
