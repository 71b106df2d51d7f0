"""How many parts the bytes of a photo fall into: whoever reads it goes through them one by one, however small they are.

Scans of a JPEG cost most: each goes over all pixels, and a dozen bytes are enough for one.
"""

import re
from dataclasses import dataclass

MAX_SCANS = 64
"""The most careful encoder makes a dozen."""
MAX_PARTS = 20_000
"""The largest photo in the smallest pieces that encoders write has some thousand."""
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_START, _START_OF_SCAN, _END = 0xD8, 0xDA, 0xD9
_WITHOUT_LENGTH = {0x01, _START}
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
# Within a scan 0xff is followed by 0, or by a number of restarts.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# The first chunk of a WebP that has more than one picture's bytes, and the flag of an animation in it.
_EXTENDED_WEBP, _ANIMATION = b"VP8X", 0x02
# Of a PNG's chunk: its length, its name, its checksum.
_CHUNK_BYTES = 12


@dataclass(frozen=True)
class Parts:
    """Counts, up to one more than allowed."""

    scans: int = 0
    parts: int = 0
    animated: bool = False
    """What a WebP says of itself: decoding one costs as much if it has a single picture."""

    @property
    def too_many(self) -> str | None:
        """What there is too much of, as the end of a sentence; None when there is not."""
        if self.scans > MAX_SCANS:
            return f"over the limit of {MAX_SCANS} scans: few bytes would take minutes to decode"
        if self.parts > MAX_PARTS:
            return f"over the limit of {MAX_PARTS} parts"
        return None


def count(photo: bytes) -> Parts:
    """Counts the parts of a JPEG's first picture; WebP has none that matter, and other formats are not counted."""
    if photo.startswith(_JPEG):
        return _of_jpeg(photo)
    if photo.startswith(_PNG):
        return _of_png(photo)
    return Parts(animated=photo[12:16] == _EXTENDED_WEBP and bool(photo[20:21]) and bool(photo[20] & _ANIMATION))


def _of_jpeg(photo: bytes) -> Parts:
    """Of one whose first scan has all colours, as nearly all photos are, no byte behind that is looked at."""
    at, parts, scans, colours = len(_JPEG), 0, 0, 0
    while scans <= MAX_SCANS and parts <= MAX_PARTS and (seen := _MARKER.search(photo, at)):
        if not scans:
            # Bytes between segments are read one by one.
            parts += seen.start() - at
        parts += 1
        marker, at = photo[seen.start() + 1], seen.end()
        if marker == _END:
            break
        if marker in _WITHOUT_LENGTH:
            continue
        body = photo[at : at + 8]
        if marker in {_BASELINE, _EXTENDED} and len(body) == 8:
            colours = body[7]
        elif marker == _PROGRESSIVE:
            colours = 0
        elif marker == _START_OF_SCAN:
            scans += 1
            if colours and body[2:3] == bytes((colours,)):
                break
        at += int.from_bytes(body[:2], "big")
    return Parts(scans, parts)


def _of_png(photo: bytes) -> Parts:
    at, parts = len(_PNG), 0
    while parts <= MAX_PARTS and at < len(photo):
        at += _CHUNK_BYTES + int.from_bytes(photo[at : at + 4], "big")
        parts += 1
    return Parts(parts=parts)
