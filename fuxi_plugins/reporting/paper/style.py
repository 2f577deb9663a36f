"""One look for all figures: told apart by marker, line and place as much as by colour, so that grey print is enough."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from fuxi_plugins.core.files import replacing

matplotlib.use("Agg")

_LOOKS = {  # colour, marker, line
    "RankElastor": ("#0b3c5d", "o", "-"),
    "RankMixer": ("#d1700f", "s", "--"),
    "DCNv2": ("#3f7d3a", "^", "-."),
    "xDeepFM": ("#8a4f9e", "D", ":"),
    "AutoInt": ("#8c6d31", "v", "-"),
    "MLP": ("#555555", "P", "--"),
}
_OTHERS = [("#7a7a7a", "X", "-"), ("#a03c3c", "*", "--"), ("#2a8a8a", "p", "-."), ("#444488", "h", ":")]
RC: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.markersize": 5,
    "svg.hashsalt": "fuxibench",  # equal figures give equal files
    "svg.fonttype": "none",
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True)
class Drawing:
    """A figure with the caption that defines what it shows."""

    name: str
    figure: Figure
    caption: str

    def svg(self, transparent: bool = True) -> bytes:
        """The figure as SVG, on a transparent or on a white ground."""
        buffer = io.BytesIO()
        with matplotlib.rc_context(RC):
            self.figure.savefig(buffer, format="svg", transparent=transparent, metadata={"Date": None})
        return buffer.getvalue()

    def save(self, folder: Path) -> list[Path]:
        paths = []
        for ending, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            path = folder / f"{self.name}.{ending}"
            with matplotlib.rc_context(RC), replacing(path) as temporary:
                self.figure.savefig(temporary, format=ending, dpi=130, metadata=metadata)
            paths.append(path)
        return paths


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A figure in the common style; use it inside the block, where the style holds."""
    with matplotlib.rc_context(RC):
        yield Figure(figsize=(width, height))


def look(display_name: str, place: int = 0) -> dict[str, Any]:
    """Colour, marker and line of a display name; of an unknown one by its place in the legend."""
    colour, marker, line = _LOOKS.get(display_name.split(" ")[0]) or _OTHERS[place % len(_OTHERS)]
    return {"color": colour, "marker": marker, "linestyle": line}
