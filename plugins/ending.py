"""How the log of a failed task ends, whatever libraries wrote before: what, why, what to do, where to look."""

import textwrap
from collections.abc import Sequence

_COLUMNS = 100


def ending(what: str, reasons: Sequence[str], advice: str, link: str) -> str:
    """A block of short lines; what is empty is left out."""
    lines = ["─" * _COLUMNS, *_wrapped(what, "")]
    for reason in reasons:
        lines += _wrapped(reason, "  • ")
    lines += _wrapped(advice, "What to do: ") if advice else []
    # Never wrapped: it is clicked, or copied.
    lines += [f"Look at: {link}"] if link else []
    return "\n".join([*lines, "─" * _COLUMNS])


def _wrapped(text: str, first: str) -> list[str]:
    return textwrap.wrap(
        text, _COLUMNS, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
    )
