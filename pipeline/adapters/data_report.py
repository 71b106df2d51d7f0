"""The report of the data checks, for people: one HTML page with its pictures in it."""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from pipeline.adapters.thumbnails import thumbnail
from pipeline.domain.dataset import Manifest, Quarantined, Split
from pipeline.ports.data import Suspect, Validation

_THUMBNAIL_PIXELS = 160
_ROWS = 100
# Photos that disappeared after the page was written are appended at its end.
_LOST = "<!-- lost -->"
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1c2733}
h1{font-size:1.5rem;margin-bottom:0} h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid #d5dce3}
.ok{color:#17693a} .bad{color:#a3231b} .warn{color:#8a5a00} small{color:#5b6875}
table{border-collapse:collapse} td,th{padding:.2rem .9rem .2rem 0;text-align:left;vertical-align:top}
td.n,th.n{text-align:right} .cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:1rem}
figure{margin:0} figure img{width:160px;height:120px;object-fit:cover;border-radius:4px;background:#eef1f4}
figcaption{font-size:.85rem;overflow-wrap:anywhere}"""


class HtmlDataReport:
    def page(
        self, manifest: Manifest, found: Validation, suspects: Sequence[Suspect], photos: Mapping[str, bytes]
    ) -> bytes:
        refused = bool(found.failures)
        verdict = '<span class="bad">refused</span>' if refused else '<span class="ok">accepted</span>'
        parts = [
            f"<h1>{escape(manifest.dataset_id)}: {verdict}</h1>",
            f"<small>{escape(manifest.model_type)} · {len(manifest.photos)} photos · corrections from "
            f"{escape(manifest.corrections_since or 'the beginning')} to {escape(manifest.corrections_through or '–')}"
            " · every check: <code>data-docs/index.html</code> beside this page</small>",
            _list("Stops the run", found.failures, "bad"),
            _list("Warnings", found.warnings, "warn"),
            _counts(manifest),
            _suspects(manifest, suspects, photos),
            _set_aside("Set aside", manifest.quarantined, photos),
            _LOST,
        ]
        head = f'<meta charset="utf-8"><title>{escape(manifest.dataset_id)}</title><style>{_STYLE}</style>'
        return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>".encode()

    def with_lost(self, page: bytes, lost: Sequence[Quarantined]) -> bytes:
        before, marker, _ = page.decode().partition(_LOST)
        if not marker:
            # Written by an earlier version.
            return page
        added = _set_aside("Set aside after it was collected", lost, {})
        return f"{before}{marker}{added}</body></html>".encode()


def _list(title: str, sentences: Sequence[str], kind: str) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<h2 class="{kind}">{title}</h2><ul>{items}</ul>'


def _counts(manifest: Manifest) -> str:
    names = {
        Split.TRAIN: "train",
        Split.VALIDATION: "validation",
        Split.HOLDOUT: "holdout",
        Split.HELD_OUT_CORRECTIONS: "held-out corrections",
    }
    head = "".join(f'<th class="n">{escape(label)}</th>' for label in manifest.labels)
    rows = []
    for split, name in names.items():
        photos = manifest.of(split)
        labels = Counter(p.label for p in photos)
        cells = "".join(f'<td class="n">{labels[label]}</td>' for label in manifest.labels)
        sources = ", ".join(f"{n} {s.replace('_', ' ')}" for s, n in sorted(Counter(p.source for p in photos).items()))
        corrected = sum(p.corrected for p in photos)
        rows.append(f'<tr><td>{name}</td>{cells}<td class="n">{corrected}</td><td>{sources}</td></tr>')
    columns = f'<tr><th></th>{head}<th class="n">corrected</th><th>why</th></tr>'
    return f"<h2>Photos</h2><table>{columns}{''.join(rows)}</table>"


def _suspects(manifest: Manifest, suspects: Sequence[Suspect], photos: Mapping[str, bytes]) -> str:
    if not suspects:
        return ""
    where = {p.task_id: p.split for p in manifest.photos}
    cards = [
        _card(
            photos.get(s.task_id),
            f"<b>{escape(s.task_id)}</b><br>confirmed {escape(s.label)}, looks like {escape(s.suggested)}<br>"
            f"confidence in the label {s.confidence:.0%} · {where[s.task_id].replace('_', ' ')}",
        )
        for s in suspects
        if s.task_id in photos
    ]
    note = f"{len(suspects)} labels differ from those of similar photos; about half of such are wrong. All stay in use."
    return f'<h2>Labels to look at</h2><p>{note}</p><div class="cards">{"".join(cards)}</div>'


def _set_aside(title: str, rows: Sequence[Quarantined], photos: Mapping[str, bytes]) -> str:
    if not rows:
        return ""
    body = "".join(
        f"<tr><td>{_image(photos.get(row.task_id))}</td>"
        + "".join(f"<td>{escape(text)}</td>" for text in (row.task_id, row.kind, row.reason, row.photo_url))
        + "</tr>"
        for row in rows[:_ROWS]
    )
    more = f"<p>… and {len(rows) - _ROWS} more in <code>manifest.json</code></p>" if len(rows) > _ROWS else ""
    return f"<h2>{title}</h2><table>{body}</table>{more}"


def _card(photo: bytes | None, caption: str) -> str:
    return f"<figure>{_image(photo)}<figcaption>{caption}</figcaption></figure>"


def _image(photo: bytes | None) -> str:
    small = thumbnail(photo, _THUMBNAIL_PIXELS) if photo is not None else None
    if small is None:
        return ""
    out = io.BytesIO()
    small.save(out, "JPEG", quality=75)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}">'
