"""Plots as files whose bytes depend on the figures alone."""

import io
from typing import Literal

import matplotlib as mpl
from matplotlib.figure import Figure


def rendered(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """The same figures give the same file."""
    out = io.BytesIO()
    figure.tight_layout()
    with mpl.rc_context({"svg.hashsalt": "studies"}):
        figure.savefig(out, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else None)
    return out.getvalue()
