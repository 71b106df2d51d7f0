"""What the browser gets besides data: the page, its scripts and styles, all of it from this folder."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_FOLDER = Path(__file__).parent / "page"
_KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}
_PLACE = "{{files}}"
# Scripts and styles come from files of ours alone: what somebody wrote into a reason is text, whatever it says.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Files:
    """`page` names the other files under `version`, a hash of them all: browsers may keep them for ever."""

    page: str
    version: str
    others: Mapping[str, bytes]

    @classmethod
    def read(cls) -> Self:
        others = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _KINDS}
        version = hashlib.sha256(b"".join(others.values())).hexdigest()[:12]
        return cls((_FOLDER / "index.html").read_text().replace(_PLACE, f"files/{version}"), version, others)


def media_type(name: str) -> str:
    return _KINDS[Path(name).suffix]
