"""Exports a schedule as torch code that needs only torch and the standard library.

The code uses torch's own classes if the schedule has a template for them and they reproduce its LRs
over the whole run. Otherwise it is a `LambdaLR` over the schedule's own functions, printed from
source with the run's numbers filled in.
"""

import math
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from lrbench.errors import UsageError
from lrbench.schedules.bound import Bound, Schedule, Segment, Track
from lrbench.schedules.definitions import flattened
from lrbench.schedules.parse import parse
from lrbench.schedules.plugin import clock_arguments
from lrbench.schedules.source import Snippet, literal, torch_call, value_code
from lrbench.schedules.spec import Call
from lrbench.schedules.units import Length, Level

MAX_PIECES = 12  # of a SequentialLR; with more, functions are easier to read
NO_SCHEDULER = "No scheduler is needed: the learning rate is constant."
PER_STEP = "Call scheduler.step() after every batch, when optimizer.step() is done."
PER_EPOCH = "Call scheduler.step() once an epoch, after its last batch."
CYCLES = """\
# torch refuses to cycle the momentum of an optimizer that has none.
cycles_momentum = "momentum" in optimizer.defaults or "betas" in optimizer.defaults
"""
MOMENTUM_CLASS = '''
class MomentumLambdaLR(LambdaLR):
    """A LambdaLR that also sets the momentum, or the first of Adam's betas."""

    def get_lr(self):
        value = momentum(self.last_epoch)
        for group in self.optimizer.param_groups:
            if value is not None and "betas" in group:
                group["betas"] = (value, *group["betas"][1:])
            elif value is not None and "momentum" in group:
                group["momentum"] = value
        return super().get_lr()
'''


def code(
    schedule: Schedule | str,
    lr: float,
    steps: int,
    steps_per_epoch: int,
    *,
    import_torch: bool = True,
) -> str:
    """Python code that creates `scheduler` for `optimizer`, with comments on when to step it.

    All parameter groups get the base LR named in the schedule, or else `lr`. If `import_torch` is
    False and torch is not loaded, torch's classes are not tried, since checking their LRs needs
    torch.

    >>> print(code("linear", 0.1, 1000, 100))
    # linear, for 1000 steps, 100 an epoch.
    # Call scheduler.step() after every batch, when optimizer.step() is done.
    from torch.optim.lr_scheduler import LinearLR
    <BLANKLINE>
    for group in optimizer.param_groups:
        group["lr"] = 0.1
        group.pop("initial_lr", None)  # an earlier scheduler may have left one
    <BLANKLINE>
    scheduler = LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=1000)

    Raises:
        UsageError: the spec or a number is invalid.
    """
    schedule = parse(schedule) if isinstance(schedule, str) else schedule
    lr = schedule.fixed_lr or lr
    bound = schedule.bind(lr, steps, steps_per_epoch)
    found = bound.segments
    constant = all(call.name == "constant" for call in schedule.calls())
    if constant and len(lrs := {bound.lr(step) for step in range(steps)}) == 1:
        snippet, lr = Snippet(NO_SCHEDULER), lrs.pop()
    elif schedule.adaptive:
        snippet = _plateau(found)
    else:
        tried = import_torch or "torch" in sys.modules
        snippet = _factory(found) or (tried and _in_torch(bound)) or (_in_functions(found))
    spec = " ".join(str(schedule).split())  # a line break would end the comment
    head = [f"# {spec}, for {steps} steps, {steps_per_epoch} an epoch."]
    head += [f"# {line}" for line in snippet.usage.splitlines()]
    groups = ["for group in optimizer.param_groups:", f'    group["lr"] = {literal(lr)}']
    if snippet.body:
        groups.append('    group.pop("initial_lr", None)  # an earlier scheduler may have left one')
    text = "\n\n\n".join([*snippet.texts, snippet.body.strip()])
    gap = ["", ""] if text.startswith("def ") else [""]
    imports = snippet.imports(text)
    return "\n".join([*head, *imports, *([""] if imports else []), *groups, *gap, text]).rstrip()


def _in_torch(bound: Bound) -> Snippet | None:
    """The schedule in torch's own classes; None unless they give the same LRs and momenta."""
    for size in dict.fromkeys((bound.clock.steps_per_epoch, 1)):
        call = _candidate(bound.segments, size)
        counts = -(-bound.clock.steps // size)
        if call is not None and _equal(call, counts, size, bound):
            body = f"scheduler = {torch_call(call, counts, bound.segments[0].lr)}"
            if "cycles_momentum" in body:
                body = CYCLES + body
            return Snippet(PER_STEP if size == 1 else PER_EPOCH, body)
    return None


def _candidate(found: Sequence[Segment], size: int) -> Call | None:
    """The phases as one torch class stepped every `size` steps, unchecked; None if not possible."""
    if any(segment.start % size for segment in found):
        return None
    parts: list[tuple[int, Call]] = []
    for segment in found:
        call, begin = _template(segment, size), segment.start // size
        if call is None:
            return None
        marks, schedulers = (0,), (call,)
        if call.name == "SequentialLR":  # torch cannot nest these
            marks = (0, *call.arguments["milestones"])
            schedulers = call.arguments["schedulers"]
        parts += [(begin + mark, part) for mark, part in zip(marks, schedulers, strict=True)]
    if len(parts) == 1:
        return parts[0][1]
    if len(parts) > MAX_PIECES:
        return None
    starts, calls = zip(*parts, strict=True)
    return Call("SequentialLR", (("schedulers", calls), ("milestones", starts[1:])))


def _template(segment: Segment, size: int) -> Call | None:
    """The torch class for a phase, with lengths in `step()` calls; None if there is none."""
    definition, clock = segment.definition, segment.clock
    if segment.call.is_plugin or segment.call.factors or segment.start != clock.start:
        return None
    if definition.counts:
        same = (segment.update == "epoch") == (size > 1) or clock.steps_per_epoch == 1
        return Call(segment.call.name, segment.call.args) if same else None
    if definition.in_torch is None:
        return None
    numbers = segment.numbers()
    for param in definition.params:
        if Length in flattened(param.annotation):
            numbers[param.python] = _divided(numbers[param.python], size)
    counts = {"T": -(-clock.steps // size), "E": clock.steps_per_epoch / size}
    try:
        (call,) = parse(segment.filled(definition.in_torch, **counts, **numbers)()).calls()
    except UsageError:  # outside the limits of torch's class
        return None
    return call


def _divided(value: Any, size: int) -> Any:
    if isinstance(value, tuple):
        return tuple(_divided(one, size) for one in value)
    return value and (int(value // size) if value % size == 0 else value / size)


def _equal(call: Call, counts: int, size: int, bound: Bound) -> bool:
    """True if torch's class runs to the end and gives the same LR and momentum at every step."""
    from lrbench.schedules.torch_run import of_call

    lr = bound.segments[0].lr
    try:
        theirs = of_call(call, counts, lr)
    except UsageError:
        return False
    close = partial(math.isclose, rel_tol=1e-10, abs_tol=1e-15 * lr)
    return len(theirs.rows) >= counts and all(
        close(theirs.lr(step // size), bound.lr(step))
        and close(theirs.momentum(step // size) or 0.0, bound.momentum(step) or 0.0)
        for step in range(bound.clock.steps)
    )


def _in_functions(found: Sequence[Segment], variable: str = "scheduler") -> Snippet:
    """The schedule as a LambdaLR over its own functions."""
    snippet, starts = Snippet(PER_STEP), [segment.start for segment in found]
    phases = []
    for segment in found:
        origin = segment.clock.start
        step = f"t - {origin}" if origin else "t"
        multiplier, momentum = _phase(segment, step, snippet)
        if segment.end is not None:
            step = f"min({step}, {segment.end})"
        factors = [_phase(one, step, snippet)[0] for one in segment.factors()]
        phases.append((" * ".join([multiplier, *factors]), momentum))
    multipliers, momenta = zip(*phases, strict=True)
    texts, name = [_by_phase("factor", multipliers, starts)], "LambdaLR"
    if any(momentum != "None" for momentum in momenta):
        texts += [_by_phase("momentum", momenta, starts), MOMENTUM_CLASS.strip()]
        name = "MomentumLambdaLR"
    texts.append(f"{variable} = {name}(optimizer, factor)")
    snippet.body = "\n\n\n".join(texts)
    return snippet


def _phase(segment: Segment, step: str, snippet: Snippet) -> tuple[str, str]:
    """Code for LR / base LR and for the momentum, where `step` is code for the phase's step."""
    call, clock, definition = segment.call, segment.clock, segment.definition
    if definition.watches:
        return "1.0", "None"
    t = _curve_step(segment, step)
    if definition.counts:
        return _stepped(segment, t, snippet)
    if call.is_plugin:
        last = f"min({t}, {clock.steps - 1})"
        values, by_name = clock_arguments(call, last, clock)
        shown = [*map(str, values), *(f"{key}={value}" for key, value in by_name.items())]
        return snippet.users(call, shown), "None"
    numbers: dict[str, Any] = {**segment.numbers(), "b": 1.0}
    for param in definition.params:
        if Level in flattened(param.annotation) and numbers[param.python] is not None:
            numbers[param.python] /= segment.lr
    factor = snippet.call(segment.filled(definition.function, **numbers), t)
    moves = definition.momentum and segment.filled(definition.momentum, **numbers)
    if moves is None or moves(0) is None:
        return factor, "None"
    return factor, snippet.call(moves, t)


def _curve_step(segment: Segment, step: str) -> str:
    """Code for the step or count at which the curve is evaluated, as in `Track`."""
    size = segment.size
    if segment.end is not None:
        step = f"min({step}, {segment.end})"
    elif size > 1 and " " in step:
        step = f"({step})"
    if size == 1:
        return step
    return f"{step} // {size}" if segment.definition.counts else f"{step} // {size} * {size}"


def _stepped(segment: Segment, t: str, snippet: Snippet) -> tuple[str, str]:
    """Like `_phase`, but looks up a torch scheduler's values in a table made by stepping it."""
    from lrbench.schedules.torch_run import stepped, walked

    call, counts, lr = segment.call, segment.clock.counts(segment.update), segment.lr
    if call.is_plugin:
        made = snippet.users(call, ["optimizer"])
    else:
        made = torch_call(call, counts, lr, one_line=True)
    table = stepped(call, counts, lr)
    table.lr(counts + segment.held - 1)
    needed = min(counts + segment.held, len(table.rows))
    snippet.add(walked)
    rows = snippet.table(f"walked(lambda optimizer: {made}, {needed}, {literal(lr)}, 0.9)")
    row = f"{rows}[min({t}, len({rows}) - 1)]"
    moves = table.momentum(0) is not None
    return f"{row}[0] / {literal(lr)}", f"{row}[1]" if moves else "None"


def _by_phase(name: str, phases: Sequence[str], starts: Sequence[int]) -> str:
    """Code for a function of the run's step that evaluates the phase containing it."""
    lines = [f"def {name}(t):"]
    for phase, end in zip(phases, starts[1:], strict=False):
        lines += [f"    if t < {end}:", f"        return {phase}"]
    return "\n".join([*lines, f"    return {phases[-1]}"])


def _plateau(found: Sequence[Segment]) -> Snippet:
    """The plateau's `PEER` class, with a LambdaLR for the phases before it."""
    *before, last = found
    plateau = Track(last).adaptive
    assert plateau is not None
    module, _, peer = plateau.PEER.rpartition(".")
    shown = [f"{name}={value_code(value)}" for name, value in plateau.arguments().items()]
    rows = "".join(f"    {row},\n" for row in ["optimizer", *shown])
    snippet = _in_functions(found, "warmup_scheduler") if before else Snippet("Call ")
    if not module.startswith("torch."):
        snippet.lines.add(f"from {module} import {peer}")
    snippet.body += f"\nscheduler = {peer}(\n{rows})"
    missed, start, size = "", last.start, last.clock.steps_per_epoch
    if before:
        snippet.usage = (
            f"Call warmup_scheduler.step() after each of the first {start} batches, and\n"
        )
        missed = f" from epoch {start // size + 1} on" if start >= size else ""
    metric = f"scheduler.step({plateau.metric}) once an epoch{missed}, with that epoch's metric."
    snippet.usage += metric
    return snippet


def _factory(found: Sequence[Segment]) -> Snippet | None:
    """A call of the user's own factory; None unless it is the whole schedule."""
    segment = found[0]
    whole = len(found) == 1 and not segment.held
    if not (whole and segment.call.is_plugin and segment.definition.counts):
        return None
    snippet = Snippet(PER_EPOCH if segment.update == "epoch" else PER_STEP)
    snippet.body = f"scheduler = {snippet.users(segment.call, ['optimizer'])}"
    return snippet
