"""Bearer tokens: of a setting, or of a file that may change while the server runs."""

import hmac
import logging
import threading
import time
from pathlib import Path

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0


class Tokens:
    """Any of them opens. With a `file`, one token a line, an old and a new one count side by side while they change.

    The file is looked at once a second. One that cannot be read leaves what was in it; one without a token opens to
    nobody.
    """

    def __init__(self, text: str = "", file: Path | None = None) -> None:
        """Raises `ValueError` for a file that cannot be read, or is empty."""
        self.needed = bool(text) or file is not None
        self._text = text
        self._file = file
        self._known: tuple[bytes, ...] = (_expected(text),) if text else ()
        self._looked_at = 0.0
        self._lock = threading.Lock()
        if file is not None and not self._read():
            raise ValueError(f"{file} must be a file with a token on each line")

    def open_for(self, authorization: str) -> bool:
        """Whether a call with this header may be made; always if no token is needed.

        The time it takes says nothing of how much of a token was right.
        """
        if not self.needed:
            return True
        given = authorization.encode()
        return any([hmac.compare_digest(given, expected) for expected in self._now()])

    def _now(self) -> tuple[bytes, ...]:
        if self._file is None or time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return self._known
        with self._lock:
            if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
                self._read()
        return self._known

    def _read(self) -> bool:
        """Whether there was a token in it."""
        assert self._file is not None
        self._looked_at = time.monotonic()
        try:
            lines = self._file.read_text("utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            log.error("%s cannot be read, its tokens stay as they were: %s", self._file, error)  # noqa: TRY400
            return False
        found = [line.strip() for line in lines if line.strip()]
        self._known = tuple(_expected(token) for token in (*found, *([self._text] if self._text else [])))
        return bool(found)


class AnyOf:
    """What one of several kinds of callers may do, each with tokens of its own; kinds without any do not count."""

    def __init__(self, *kinds: Tokens) -> None:
        self._kinds = [kind for kind in kinds if kind.needed]
        self.needed = bool(self._kinds)

    def open_for(self, authorization: str) -> bool:
        return any([kind.open_for(authorization) for kind in self._kinds])


def _expected(token: str) -> bytes:
    return f"Bearer {token}".encode()
