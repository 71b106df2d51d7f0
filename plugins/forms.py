"""Free-text fields of forms."""

from typing import Any

from airflow.sdk import Param

# Whole characters that a database and JSON can keep: no NUL and its kin, and no half of a surrogate pair. A browser may
# read a pattern by such halves; a whole pair is a character.
_CHARACTER = r"(?:[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]|[\ud800-\udbff][\udc00-\udfff])"
# The end of the text, not of its last line as `$` has it.
END = r"(?![\s\S])"
_TEXT = rf"^{_CHARACTER}*{END}"
# Something readable, not only blanks.
_WORDS = rf"^(?=[\s\S]*\S){_CHARACTER}*{END}"
_LINE = rf"^(?:(?![\n\r\t]){_CHARACTER})*{END}"
_LONGEST_REASON = 500


def reason(*, least: int = 0) -> Param:
    """Why somebody asks; empty, the history says who or what asked."""
    said = "Why. It is kept in the history of the model for ever; empty: who or what asked."
    about: dict[str, Any] = {"minLength": least} if least else {}
    return Param(None, type=["null", "string"], maxLength=_LONGEST_REASON, pattern=_TEXT, description_md=said, **about)


def demanded_reason() -> Param:
    """A reason that is required: for acts that cannot be taken back, or that concern others."""
    said = (
        "Why: at least three characters. It is kept with the act for ever, about a dead letter in the log of this run."
    )
    return Param("", type="string", minLength=3, maxLength=_LONGEST_REASON, pattern=_WORDS, description_md=said)


def line(default: str, *, longest: int, description_md: str) -> Param:
    """One line."""
    return Param(default, type="string", maxLength=longest, pattern=_LINE, description_md=description_md)
