import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrbench.rangetest.result import FindResult
from lrbench.report.find_files import write_find
from lrbench.report.find_plot import against_chart, draw, sweep_chart
from lrbench.report.plots.draw import figure_of
from tests.report.find_results import found, not_found, tabled


def drawn(result: FindResult) -> tuple[Axes, str, list[str]]:
    ax = draw(result, Figure().add_subplot())
    return ax, ax.get_title(loc="left"), ax.get_legend_handles_labels()[1]


def test_it_shows_what_was_found() -> None:
    result = found()
    _, title, labels = drawn(result)
    assert f"lr {result.lr:.2g}, grade ok" in title and "mnist5k · lenet · sgd" in title
    for word in ("3 seeds", "10–90 %", "loss falls", "sweep alone", "answer", "largest stable"):
        assert any(word in label for label in labels), word


def test_the_short_trainings_have_a_panel_and_an_axis_of_their_own() -> None:
    result = found()
    sweep, trainings = figure_of(sweep_chart(result)).axes
    assert sweep.get_ylabel() == "training loss"
    assert trainings.get_ylabel() == "validation loss + ½ sd"
    assert result.verification is not None
    ends = [loss for _, loss in result.verification["losses"] if loss is not None]
    drawn = [line for line in trainings.lines if line.get_label() == "short trainings"]
    assert list(drawn[0].get_ydata()) == ends
    assert "diverged" in trainings.get_legend_handles_labels()[1]
    assert not any(line.get_label() == "short trainings" for line in sweep.lines)


def test_the_picture_shows_where_the_loss_moves_and_names_each_lr_at_its_line() -> None:
    """The curve ends near 30; the picture ends a little above its start at 2.3."""
    result = found()
    ax, *_ = drawn(result)
    left, right = ax.get_xlim()
    assert result.lr_range is not None and result.lr is not None
    assert min(p.lr for p in result.curve) < left < result.lr_range[0]
    assert right > result.lr_range[1]
    low, high = ax.get_ylim()
    assert -0.5 < low < 0.3 and 2.3 < high < 4
    at = {text.get_text(): text.xy[0] for text in ax.texts}  # type: ignore[attr-defined]
    lines = {line.get_label().split(",")[0]: line.get_xdata()[0] for line in ax.lines}  # type: ignore[union-attr, index]
    for name, lr in (("answer", result.lr), ("largest stable", result.max_stable_lr)):
        assert lines[name] == at[f"{lr:.2g}"] == lr
    assert lines["the sweep alone"] == result.lr_sweep


def test_without_an_answer_the_title_says_why() -> None:
    _, title, labels = drawn(not_found())
    assert "no learning rate can be defended, grade none\nflat:" in title
    assert not any("answer" in label or "stable" in label for label in labels)
    assert drawn(replace(not_found(), curve=()))[2] == []


def test_equal_results_give_equal_bytes_and_a_table_gives_a_picture_more(tmp_path: Path) -> None:
    one, two = (write_find(tabled(), tmp_path / name) for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    starts = {path.name: path.read_bytes()[:5] for path in one}
    for name in ("find", "find-table"):
        assert (starts[f"{name}.png"], starts[f"{name}.svg"]) == (b"\x89PNG\r", b"<?xml")


def test_saving_needs_neither_a_display_nor_pyplot(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.report.find_results import found\n"
        "from lrbench.report.find_files import write_find\n"
        f"write_find(found(), Path({str(tmp_path)!r}))\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env={"PATH": ""})


def test_result_plot_gives_axes_that_can_be_drawn_on() -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ax = found().plot()
    assert ax.get_xscale() == "log"
    plt.close(ax.figure)  # type: ignore[arg-type]
    own = Figure().add_subplot()
    assert found().plot(own) is own


def test_a_table_has_a_panel_for_each_of_its_two_sizes_with_answers_limits_and_both_rules() -> None:
    first, second = figure_of(against_chart(tabled().table)).axes
    assert [ax.get_xlabel() for ax in (first, second)] == ["batch size", "momentum"]
    lines = {str(line.get_label()): line for line in first.lines}
    assert "answer, momentum 0.9" in lines and "largest stable, momentum 0" in lines
    x, y = (list(data) for data in lines["linear rule"].get_data())
    assert x == [32, 128, 512] and y == [0.025, 0.1, 0.4]  # through the recipe's own batch size
    assert list(lines["square-root rule"].get_ydata()) == [0.05, 0.1, 0.2]
    assert list(lines["answer, momentum 0"].get_xdata()) == [32, 128]  # one cell has no answer
