"""The plan as a table."""

from rich.console import Console

from lrbench.options import CompareSpec
from lrbench.report.plan import plan_table
from lrbench.session.size import estimate_s, fit, work


def test_it_counts_and_fits_80_columns() -> None:
    spec = CompareSpec(
        schedules=("constant", "cosine"), lrs=(0.1, 0.2), epochs=3, seeds=4, tuning_seeds=1
    )
    stages = work(spec, {128: 28})
    assert stages["tune"] == {"trials": 4, "steps": 4 * 84, "images": 4 * 84 * 128}
    assert stages["final"]["trials"] == 8 and stages["find"]["trials"] == 0
    total = {key: sum(s[key] for s in stages.values()) for key in ("trials", "steps", "images")}
    console = Console(width=80, no_color=True)
    with console.capture() as capture:
        console.print(plan_table(spec, stages, total, "3 min 20 s", {128: 28}))
    text = capture.get()
    assert "129,024" in text and "3 min 20 s" in text and "0.1, 0.2" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_a_schedule_that_names_its_lr_is_not_tuned() -> None:
    spec = CompareSpec(
        schedules=("constant", "OneCycleLR(max_lr=0.1, total_steps=84)"), lrs=(0.1, 0.2)
    )
    assert work(spec, {128: 28})["tune"]["trials"] == 2 * spec.tuning_seeds


def test_a_time_budget_is_used_and_kept() -> None:
    spec = CompareSpec(lrs=(0.1,), seeds=5, time_budget_s=600.0)
    found = fit(spec, {128: 28}, 0.01)
    assert found.seeds == 5 and found.epochs > 5
    assert estimate_s(found, work(found, {128: 28}), 0.01) <= 600
    longer = found.model_copy(update={"epochs": found.epochs + 1})
    assert estimate_s(longer, work(longer, {128: 28}), 0.01) > 600


def test_a_short_budget_gives_up_seeds_first() -> None:
    spec = CompareSpec(lrs=(0.1,), seeds=5, time_budget_s=8.0)
    assert fit(spec, {128: 28}, 0.01).seeds < 5


def test_a_short_budget_keeps_the_epochs_before_many_seeds() -> None:
    spec = CompareSpec(lrs=(0.1,), seeds=20, epochs=3, time_budget_s=60.0)
    found = fit(spec, {128: 28}, 0.01)
    assert (found.seeds, found.epochs) == (10, 3)
    more = found.model_copy(update={"seeds": 20})
    assert estimate_s(more, work(more, {128: 28}), 0.01) > 60
