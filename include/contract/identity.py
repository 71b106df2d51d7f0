"""What a person is called: one name in whatever Unicode form it was typed, everywhere."""

import re
import unicodedata

IDENTITY = r"\w[\w.@-]{0,99}"
"""A canonical name that can be enrolled."""
_ENROLLABLE = re.compile(IDENTITY)


def canonical(name: str) -> str:
    """NFKC: letters of several characters and their single form, and wide and narrow forms, are the same."""
    return " ".join(unicodedata.normalize("NFKC", name).split())


def can_be_enrolled(name: str) -> bool:
    """Of a canonical one."""
    return _ENROLLABLE.fullmatch(name) is not None
