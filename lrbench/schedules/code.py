"""A schedule as torch code to paste, with nothing but torch and `math` in it.

torch's own classes where they give the same LRs at every step of the run, which is checked here
before they are printed; else a `LambdaLR` with the formula. Never a table of LRs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from lrbench.errors import UsageError
from lrbench.schedules.adaptive import Plateau
from lrbench.schedules.base import Call, Schedule, Segment, resolved, segments
from lrbench.schedules.code_bricks import HELPERS, Lines
from lrbench.schedules.code_formula import body, momentum_body
from lrbench.schedules.code_torch import CYCLES, Made, as_code, as_spec, proposals
from lrbench.schedules.parse import parse
from lrbench.schedules.units import Clock

FEW = 4  # phases that are written out one by one; more are looked up
PER_STEP = "Call scheduler.step() after every batch, when optimizer.step() is done."
PER_EPOCH = "Call scheduler.step() once an epoch, after its last batch."
CYCLES_LINES = [
    "# torch refuses to cycle the momentum of an optimizer that has none.",
    f'{CYCLES} = "momentum" in optimizer.defaults or "betas" in optimizer.defaults',
]
MOMENTUM_CLASS = '''

class MomentumLambdaLR(LambdaLR):
    """A LambdaLR that moves the momentum as well, or the first of Adam's betas."""

    def get_lr(self):
        value = momentum(self.last_epoch)
        for group in self.optimizer.param_groups:
            if value is not None and "betas" in group:
                group["betas"] = (value, *group["betas"][1:])
            elif value is not None and "momentum" in group:
                group["momentum"] = value
        return super().get_lr()
'''


@dataclass(frozen=True)
class Snippet:
    """Code that makes the scheduler: when to step it, torch's classes in it, its lines, and
    further imports."""

    usage: str
    classes: set[str]
    lines: Lines
    imports: tuple[str, ...] = ()


def code(schedule: Schedule | str, lr: float, steps: int, steps_per_epoch: int) -> str:
    """Python code that makes `scheduler` for the `optimizer` of a run, and says when to step it.

    Args:
        lr: the base LR, which the code gives to all parameter groups; one that the schedule
            itself names comes first.
        steps: optimizer steps of the run.
        steps_per_epoch: of those, the steps of an epoch.

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
        UsageError: the spec or the numbers cannot be meant.
    """
    schedule = parse(schedule) if isinstance(schedule, str) else schedule
    lr = schedule.fixed_lr or lr
    schedule.bind(lr, steps, steps_per_epoch)
    clock = Clock.of_run(steps, steps_per_epoch)
    found = list(segments(schedule, clock))
    if schedule.adaptive:
        snippet = _plateau(found, lr)
    else:
        snippet = _torch(schedule, found, lr, clock) or _factory(found) or _formula(found, lr)
    return _document(schedule, snippet or _bridge(schedule, clock), lr, clock)


def _document(schedule: Schedule, snippet: Snippet, lr: float, clock: Clock) -> str:
    imports = list(snippet.imports)
    if snippet.classes:
        names = ", ".join(sorted(snippet.classes))
        imports.append(f"from torch.optim.lr_scheduler import {names}")
    if any("math." in line for line in snippet.lines):
        imports = ["import math", "", *imports]
    spec = " ".join(str(schedule).split())  # no line may end inside the comment
    return "\n".join(
        [
            f"# {spec}, for {clock.steps} steps, {clock.steps_per_epoch} an epoch.",
            *(f"# {line}" for line in snippet.usage.splitlines()),
            *imports,
            "",
            "for group in optimizer.param_groups:",
            f'    group["lr"] = {lr!r}',
            '    group.pop("initial_lr", None)  # an earlier scheduler may have left one',
            *([""] * (2 if snippet.lines[0].startswith("def ") else 1)),
            *snippet.lines,
        ]
    )


def _torch(schedule: Schedule, found: Sequence[Segment], lr: float, clock: Clock) -> Snippet | None:
    """In torch's own classes, where they equal the schedule at every step."""
    for size in dict.fromkeys((clock.steps_per_epoch, 1)):
        update = "step" if size == 1 else "epoch"
        for made in proposals(found, lr, size):
            if _equal(as_spec(made, update=update), schedule, lr, clock):
                counts = -(-clock.steps // size)
                return _of_torch(made, counts, PER_STEP if size == 1 else PER_EPOCH)
    return None


def _of_torch(made: Made, counts: int, usage: str) -> Snippet:
    first, *rest = as_code(made, counts)
    lines = [f"scheduler = {first}", *rest]
    if any(CYCLES in line for line in lines):
        lines = [*CYCLES_LINES, *lines]
    return Snippet(usage, set(_classes(made)), lines)


def _classes(made: Made) -> Iterator[str]:
    yield made.name
    for nested in made.arguments.get("schedulers", ()):
        yield from _classes(nested)


def _equal(spec: str, schedule: Schedule, lr: float, clock: Clock) -> bool:
    """Whether LR and momentum are the same at every step of the run; torch's limits may refuse
    the spec."""
    run = (lr, clock.run_steps, clock.steps_per_epoch)
    try:
        mine = parse(spec).bind(*run)
    except UsageError:
        return False
    theirs = schedule.bind(*run)
    return all(
        math.isclose(mine.lr(step), theirs.lr(step), rel_tol=1e-10, abs_tol=1e-15 * lr)
        and _close(mine.momentum(step), theirs.momentum(step))
        for step in range(clock.run_steps)
    )


def _close(one: float | None, other: float | None) -> bool:
    return one == other if one is None or other is None else math.isclose(one, other)


def _formula(found: Sequence[Segment], lr: float, variable: str = "scheduler") -> Snippet | None:
    """A LambdaLR of one function a phase; None where a phase has no formula."""
    bodies = [_phase(segment, lr) for segment in found]
    if any(lines is None for lines in bodies):
        return None
    starts = [segment.clock.start for segment in found]
    lines = _functions("factor", [lines or [] for lines in bodies], starts)
    classes, name = {"LambdaLR"}, "LambdaLR"
    momenta = [_momentum(segment, lr) for segment in found]
    if any(momenta):
        silent = ["return None"]
        lines += ["", "", *_functions("momentum", [own or silent for own in momenta], starts)]
        lines += MOMENTUM_CLASS.splitlines()
        name = "MomentumLambdaLR"
    helpers = [text for name_, text in HELPERS.items() if any(name_ in line for line in lines)]
    above = [line for text in helpers for line in [*text.strip().splitlines(), "", ""]]
    imports = sorted({found_ for segment in found for found_ in _plugin_imports(segment.call)})
    made = [*above, *lines, "", "", f"{variable} = {name}(optimizer, factor)"]
    return Snippet(PER_STEP, classes, made, tuple(imports))


def _phase(segment: Segment, lr: float) -> Lines | None:
    call, clock = segment.call, segment.clock
    if call.definition.watches:
        return ["return 1.0"]
    if ":" in call.name:
        return _plugin_body(segment)
    lines = body(call, clock, lr)
    return None if lines is None else [*_tick(segment), *lines]


def _momentum(segment: Segment, lr: float) -> Lines | None:
    if ":" in segment.call.name:
        return None
    lines = momentum_body(segment.call, segment.clock, lr)
    return None if lines is None else [*_tick(segment), *lines]


def _tick(segment: Segment) -> Lines:
    """From the step to the step that counts: the epoch's first, the last one of a phase that is
    over, the number of calls that torch's class has had."""
    definition, clock, lines = resolved(segment.call), segment.clock, []
    size = clock.steps_per_epoch
    if segment.held:
        lines.append(f"step = min(step, {clock.steps - 1 if definition.jumps else clock.steps})")
    if (segment.call.update or definition.update) == "epoch" and size > 1:
        lines.append(f"step = step // {size}" if definition.counts else f"step -= step % {size}")
    return lines


def _functions(name: str, bodies: Sequence[Lines], starts: Sequence[int]) -> Lines:
    """A function of the step of the run, from the bodies of its phases."""
    if len(bodies) == 1:
        return _function(name, bodies[0])
    names: dict[str, str] = {}
    lines: Lines = []
    numbers = count(1)
    for statements in bodies:
        text = "\n".join(statements)
        if text not in names:
            names[text] = f"{name}_{next(numbers)}"
            lines += [*_function(names[text], statements), "", ""]
    called = [names["\n".join(statements)] for statements in bodies]
    return [*lines, *_function(name, _choice(called, starts))]


def _function(name: str, statements: Lines) -> Lines:
    return [f"def {name}(step):", *(f"    {line}" for line in statements)]


def _choice(called: Sequence[str], starts: Sequence[int]) -> Lines:
    """The phase that a step lies in, asked on its own clock."""
    if len(called) > FEW:
        pairs = zip(starts, called, strict=True)
        return [
            "phases = [",
            *(f"    ({start}, {name})," for start, name in pairs),
            "]",
            "start, phase = max((pair for pair in phases if pair[0] <= step), key=lambda p: p[0])",
            "return phase(step - start)",
        ]
    lines = []
    for name, start, end in zip(called, starts, starts[1:], strict=False):
        lines += [f"if step < {end}:", f"    return {name}({_minus(start)})"]
    return [*lines, f"return {called[-1]}({_minus(starts[-1])})"]


def _minus(start: int) -> str:
    return f"step - {start}" if start else "step"


def _plateau(found: Sequence[Segment], lr: float) -> Snippet | None:
    """torch's plateau; before it a LambdaLR for the phases before it."""
    *before, last = found
    plateau = last.track(lr).adaptive
    if not isinstance(plateau, Plateau):
        return None
    copied = ("factor", "patience", "threshold", "cooldown", "min_lr", "eps")
    arguments = {
        "mode": "max" if plateau.maximise else "min",
        "threshold_mode": "rel" if plateau.relative else "abs",
        **{name: getattr(plateau, name) for name in copied},
    }
    usage = f"Call scheduler.step({plateau.metric}) once an epoch, with the metric of that epoch."
    alone = _of_torch(Made("ReduceLROnPlateau", arguments), 1, usage)
    if not before:
        return alone
    ahead = _formula(found, lr, variable="warmup")
    if ahead is None:
        return None
    start, size = last.clock.start, last.clock.steps_per_epoch
    missed = f" from the epoch {start // size + 1} on" if start >= size else ""
    usage = (
        f"Call warmup.step() after each of the first {start} batches, and\n"
        f"scheduler.step({plateau.metric}) once an epoch{missed}, with the metric of that epoch."
    )
    return Snippet(usage, ahead.classes | alone.classes, ahead.lines + alone.lines, ahead.imports)


def _factory(found: Sequence[Segment]) -> Snippet | None:
    """The user's own factory, where it is the whole schedule."""
    segment, definition = found[0], resolved(found[0].call)
    call = segment.call
    if len(found) > 1 or segment.held or ":" not in call.name or not definition.counts:
        return None
    usage = PER_EPOCH if (call.update or definition.update) == "epoch" else PER_STEP
    arguments = ["optimizer", *(f"{name}={value!r}" for name, value in call.args)]
    line = f"scheduler = {call.name.replace(':', '.')}({', '.join(arguments)})"
    return Snippet(usage, set(), [line], _plugin_imports(call))


def _plugin_body(segment: Segment) -> Lines | None:
    """A call of the user's own function; None for a factory, which needs the optimizer."""
    call, clock, definition = segment.call, segment.clock, resolved(segment.call)
    if definition.counts:
        return None
    names = definition.make.args[-1]  # type: ignore[attr-defined]  # a partial: see plugin.load
    known = {"step": "step", "steps": clock.steps, "steps_per_epoch": clock.steps_per_epoch}
    by_name = [f"{name}={value}" for name, value in known.items() if name in names]
    values = by_name if "step" in names else [str(value) for value in known.values()]
    arguments = [*values, *(f"{name}={value!r}" for name, value in call.args)]
    return [
        *_tick(segment),
        f"step = min(step, {clock.steps - 1})",
        f"return {call.name.replace(':', '.')}({', '.join(arguments)})",
    ]


def _plugin_imports(call: Call) -> tuple[str, ...]:
    module, colon, _ = call.name.partition(":")
    return (f"import {module}",) if colon else ()


def _bridge(schedule: Schedule, clock: Clock) -> Snippet:
    """What only this package can make: it is imported."""
    call = (
        f"scheduler = to_torch({str(schedule)!r}, optimizer, "
        f"steps={clock.steps}, steps_per_epoch={clock.steps_per_epoch})"
    )
    usage = f"{PER_STEP}\nIt has no formula to print: this needs the package torch-lrbench."
    if schedule.adaptive:
        usage += f"\nCall scheduler.observe({schedule.metric}) once an epoch."
    return Snippet(usage, set(), [call], ("from lrbench.schedules import to_torch",))
