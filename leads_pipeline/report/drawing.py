"""SVG made with matplotlib for a page: colours as CSS variables, text as text in the page's own font, no date in it.

Figures are drawn without pyplot, which would keep them in memory, and at the size that they have on a phone, so that
their text is as large as the page's.
"""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

NARROW, WIDE = 350, 1160
"""Widths of figures in CSS pixels: a phone's, and that of the whole page on a screen."""
_PIXELS_PER_INCH = 72  # one unit of matplotlib's SVG is one CSS pixel at the figure's own size
TEXT_SIZE, SMALL_TEXT_SIZE = 13, 11


class Ink(Enum):
    """The colours by their part; each is a CSS variable of the page, so that they change with its light or dark mode.

    The values only stand in for the variables while matplotlib draws.
    """

    TEXT = "#0a0b01"
    MUTED = "#0a0b02"
    GRID = "#0a0b03"
    TRACK = "#0a0b04"
    ACCENT = "#0a0b05"
    SOFT = "#0a0b06"
    TYPE_W = "#0a0b11"
    TYPE_B = "#0a0b12"
    TYPE_P = "#0a0b13"
    TYPE_WA = "#0a0b14"
    TYPE_BIZ = "#0a0b15"
    TYPE_OTHER = "#0a0b16"
    GOOD = "#0a0b21"
    WAITING = "#0a0b22"
    BAD = "#0a0b23"

    @property
    def variable(self) -> str:
        """Return the CSS variable's name."""
        return "--" + self.name.lower().replace("_", "-")


_STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "font.size": TEXT_SIZE,
    "text.color": Ink.TEXT.value,
    "text.parse_math": False,  # a product's name may hold dollar signs
    "axes.edgecolor": Ink.GRID.value,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": Ink.GRID.value,
    "grid.linewidth": 1.0,
    "axes.axisbelow": True,
    "xtick.color": Ink.GRID.value,
    "ytick.color": Ink.GRID.value,
    "xtick.labelcolor": Ink.MUTED.value,
    "ytick.labelcolor": Ink.MUTED.value,
    "xtick.labelsize": SMALL_TEXT_SIZE,
    "ytick.labelsize": SMALL_TEXT_SIZE,
    "ytick.major.size": 0,
}
_HEAD = re.compile(r"^.*?<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>", re.DOTALL)
_STYLE_ELEMENT = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_ID = re.compile(r' id="([^"]*)"')
_USED_ID = re.compile(r'(?:url\(|href=")#([^")]*)')
_FONT = re.compile(r" ?font-family: [^;\"]*;?")
_BLANKS = re.compile(r"\s*\n\s*")


@contextmanager
def drawing_style() -> Iterator[None]:
    """Draw in the report's style, whatever matplotlib's settings on this machine are."""
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the browser has its own fonts
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def plot(width: int, height: int, *, left: int, bottom: int, right: int = 0, top: int = 8) -> tuple[Figure, Axes]:
    """Return a figure of that size in CSS pixels with axes inside these margins."""
    figure = Figure(figsize=(width / _PIXELS_PER_INCH, height / _PIXELS_PER_INCH))
    inside = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    return figure, figure.add_axes(inside)


def canvas(width: int, height: int) -> tuple[Figure, Axes]:
    """Return a figure to draw on in CSS pixels, from the upper left corner."""
    figure, axes = plot(width, height, left=0, bottom=0, top=0)
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    return figure, axes


@dataclass(frozen=True)
class Box:
    """A filled rectangle by one corner, in the axes' units."""

    x: float
    y: float
    width: float
    height: float
    ink: Ink
    strength: float = 1.0
    """Its opacity, 0 to 1."""


def fill_boxes(axes: Axes, boxes: Sequence[Box]) -> None:
    """Fill the rectangles, later ones over earlier ones."""
    corners = [
        [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        for x, y, width, height in ((box.x, box.y, box.width, box.height) for box in boxes)
    ]
    colours = [to_rgba(box.ink.value, box.strength) for box in boxes]
    axes.add_collection(PolyCollection(corners, facecolors=colours, linewidths=0), autolim=False)


def to_svg(figure: Figure, name: str) -> str:
    """Return the figure as an SVG element for a page; `name` keeps its ids apart from those of other figures."""
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=no_metadata)
    head = _HEAD.match(text.getvalue())
    if head is None:
        raise ValueError("matplotlib gave no SVG with a view box")
    _, _, width, height = head[1].split()
    body = _STYLE_ELEMENT.sub("", text.getvalue()[head.end() :], count=1)
    used = {*_USED_ID.findall(body)}
    body = _ID.sub(lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", body)
    body = _USED_ID.sub(lambda found: found[0].replace("#", f"#{name}-"), body)
    body = _BLANKS.sub(" ", _FONT.sub("", body))
    for ink in Ink:
        body = body.replace(ink.value, f"var({ink.variable})")
    size = f'width="{float(width):g}" height="{float(height):g}"'
    return f'<svg viewBox="0 0 {width} {height}" {size} role="presentation">{body}'
