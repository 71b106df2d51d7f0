"""The verification report for people: one HTML page, and a contact sheet of photos that became wrong."""

import base64
import io
import math
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image, ImageDraw, ImageFont, ImageOps

from pipeline.adapters.thumbnails import thumbnail
from pipeline.domain.checks import Check, label_of
from pipeline.ports.verification import VerificationReport

_PICTURE = re.compile(rb"(?<=data:image/png;base64,)[A-Za-z0-9+/=]+")
_TILE, _CAPTION, _COLUMNS, _MOST_SHOWN = 160, 34, 6, 30


class HtmlReportPrinter:
    def contact_sheet(self, photos: Iterable[tuple[str, bytes]]) -> bytes:
        shown = [(name, _tile(body)) for name, body in islice(photos, _MOST_SHOWN)]
        rows = max(1, -(-len(shown) // _COLUMNS))
        sheet = Image.new("RGB", (_COLUMNS * _TILE, rows * (_TILE + _CAPTION)), "white")
        draw = ImageDraw.Draw(sheet)
        for index, (name, tile) in enumerate(shown):
            x, y = index % _COLUMNS * _TILE, index // _COLUMNS * (_TILE + _CAPTION)
            sheet.paste(tile, (x, y))
            # Pillow's own font has no Korean letters: the page has the labels as text.
            draw.text((x + 4, y + _TILE + 3), name[:24], fill="black", font=ImageFont.load_default(12))
        if not shown:
            draw.text((8, 8), "no photo became wrong", fill="grey", font=ImageFont.load_default(14))
        out = io.BytesIO()
        sheet.save(out, "PNG", optimize=True)
        return out.getvalue()

    def html(self, report: VerificationReport) -> bytes:
        folder = FileSystemLoader(Path(__file__).parent)
        pages = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        pages.filters |= {"figure": figure, "points": _points}
        flips = base64.b64encode(report.flips).decode() if report.flips else ""
        page = pages.get_template("verification_report.html")
        constant = _constant_answer(report.blessing.checks)
        return page.render(r=report, b=report.blessing, flips=flips, shown=_MOST_SHOWN, constant=constant).encode()

    def with_flips(self, page: bytes, flips: bytes) -> bytes:
        return _PICTURE.sub(base64.b64encode(flips), page)


def _tile(body: bytes) -> Image.Image:
    """The photo as a tile; a grey one for unreadable bytes."""
    size = (_TILE - 4, _TILE - 4)
    small = thumbnail(body, _TILE * 2)
    return ImageOps.fit(small, size) if small is not None else Image.new("RGB", size, "lightgrey")


def _points(share: float) -> str:
    # Adding zero takes the sign from minus zero.
    return f"{round(share * 100, 1) + 0.0:+.1f} pp"


def _constant_answer(checks: Sequence[Check]) -> float | None:
    """Accuracy of always saying the most frequent label, 0-1; None when nothing was measured."""
    supports = [check.support for check in checks if label_of(check.name)]
    return max(supports) / sum(supports) if sum(supports) else None


def figure(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"
