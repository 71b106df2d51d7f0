"""How often a JPEG goes over its pixels: a scan of a dozen bytes costs as much time as one of a million."""

import re

_START, _START_OF_SCAN, _END = 0xD8, 0xDA, 0xD9
_WITHOUT_LENGTH = {0x01, _START}
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
# Within a scan 0xff is followed by 0, or by a number of restarts.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def count_scans(photo: bytes, most: int) -> int:
    """Scans of its first picture, counted up to one more than `most`; 0 for what is no JPEG.

    Of a baseline JPEG whose first scan has all colours, as nearly all photos are, no further byte is looked at.
    """
    if photo[:2] != bytes((0xFF, _START)):
        return 0
    at, scans, colours = 2, 0, 0
    while scans <= most and (seen := _MARKER.search(photo, at)):
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
    return scans
