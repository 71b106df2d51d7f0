"""The verdict on a face model for people: one HTML page with both errors at every threshold, and how scores lie."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.adapters.verification_report import figure
from pipeline.domain.faces.curves import Point, Scores
from pipeline.ports.face_report import FaceReport

_WIDTH, _HEIGHT = 460, 300
# The smallest share on the axes of both errors; smaller ones lie on the edge.
_LEAST = 1e-5
# How many bins are drawn as one.
_STEP = 8


class HtmlFaceReportPrinter:
    def html(self, report: FaceReport) -> bytes:
        folder = FileSystemLoader(Path(__file__).parent)
        pages = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        pages.filters |= {"figure": figure, "det": _det, "bars": _histogram}
        pages.globals |= {"width": _WIDTH, "height": _HEIGHT, "ticks": list(_ticks())}
        page = pages.get_template("face_report.html")
        return page.render(r=report, b=report.blessing, threshold_x=_of_cosine(report.threshold)).encode()


def _det(scores: Scores | None) -> str:
    """Points of a line: FAR to the right, refusals upwards, both by their logarithm."""
    return " ".join(f"{_across(one.far):.1f},{_HEIGHT - _up(one.frr):.1f}" for one in _shown(scores))


def _shown(scores: Scores | None) -> Sequence[Point]:
    return scores.det() if scores else ()


def _histogram(counts: Sequence[int]) -> str:
    """Points of a line: cosines to the right, the share of pairs upwards."""
    drawn = [sum(counts[start : start + _STEP]) for start in range(0, len(counts), _STEP)]
    most = max(drawn, default=0) or 1
    at = ((number + 0.5) * _STEP * 2 / len(counts) - 1 for number in range(len(drawn)))
    return " ".join(
        f"{_of_cosine(x):.1f},{_HEIGHT - one / most * (_HEIGHT - 10):.1f}" for x, one in zip(at, drawn, strict=True)
    )


def _of_cosine(cosine: float) -> float:
    return (cosine + 1) / 2 * _WIDTH


def _across(share: float) -> float:
    return _part(share) * _WIDTH


def _up(share: float) -> float:
    return _part(share) * _HEIGHT


def _part(share: float) -> float:
    return 1 - math.log10(max(share, _LEAST)) / math.log10(_LEAST)


def _ticks() -> Iterator[tuple[str, float, float]]:
    """Label, and where it lies on either axis."""
    for power in range(-4, 0):
        yield f"{10.0**power:g}", _across(10.0**power), _HEIGHT - _up(10.0**power)
