"""One look for all plots: figures outside pyplot's state, colours that are safe for colour-blind
readers, files that are byte-identical on every run."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.errors import UsageError
from lrbench.files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The palette of Okabe and Ito without its yellow (too pale on white), then three of Paul Tol's.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#404040", "#882255",
    "#999933", "#332288",
)  # fmt: skip
DASHES: tuple[object, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
MARKERS = "os^DvPX<>*"
INK, FAINT = "#333333", "#dddddd"
DPI = 150
KINDS = ("png", "svg", "pdf")


@dataclass(frozen=True)
class Look:
    """How a schedule is drawn in every plot of a run; `place` is negative for other lines."""

    colour: str
    dash: object
    marker: str
    place: int = -1

    @property
    def gid(self) -> str | None:
        """The SVG id of these lines, by which a page toggles them."""
        return f"series-{self.place}" if self.place >= 0 else None


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each name by its position; beyond ten names, dashes and markers change."""
    return {
        name: Look(
            PALETTE[place % len(PALETTE)],
            DASHES[place // len(PALETTE) % len(DASHES)],
            MARKERS[(place + place // len(PALETTE)) % len(MARKERS)],
            place,
        )
        for place, name in enumerate(dict.fromkeys(names))
    }


def figure(width: float = 8, height: float = 4.5) -> Figure:
    """An empty figure outside pyplot's state; sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(fig: Figure, path: Path) -> Path:
    """Write the figure as PNG, SVG or PDF, by the path's suffix.

    Raises:
        UsageError: any other suffix.
        MachineError: the file cannot be written.
    """
    kind = path.suffix.lstrip(".").lower()
    if kind not in KINDS:
        raise UsageError(f"--plot {path}: the name must end in .png, .svg or .pdf")
    return replace_file(path, render(fig, kind))


def render(fig: Figure, kind: str = "png", *, text: bool = False) -> bytes:
    """The figure as the bytes of a file, without dates and versions, which makes it reproducible.
    With `text` an SVG keeps its letters as text, in the font of the surrounding page."""
    import matplotlib

    for axes in fig.axes:
        polish(axes)
    stamps = {"png": ("Software",), "svg": ("Date", "Creator"), "pdf": ("CreationDate",)}
    fonts = "none" if text else "path"
    out = io.BytesIO()
    with (
        matplotlib.rc_context({"svg.hashsalt": "lrbench", "svg.fonttype": fonts}),
        warnings.catch_warnings(),
    ):
        # A character missing in the font becomes a box: not worth a warning.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        fig.savefig(out, format=kind, dpi=DPI, metadata=dict.fromkeys(stamps[kind]))
    return out.getvalue()


def polish(axes: Axes) -> None:
    """A quiet frame: two spines, a faint grid behind the data, small grey ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#888888")
    axes.grid(True, which="major", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9, length=3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=INK, fontsize=10)
