"""How every program logs: lines for people, or with `…_LOG_FORMAT=json` one JSON object a line.

Whatever the form, passwords in addresses, tokens, and what a database quotes of a row do not get into it.
"""

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

from opentelemetry.trace import format_trace_id, get_current_span

if TYPE_CHECKING:
    from stamina.instrumentation import RetryDetails

log = logging.getLogger(__name__)

Form = Literal["text", "json"]
# Fields that a line may have; anything else that is given to a logger is left out.
FIELDS = ("run_id", "model_type", "dataset_id", "version", "request_id", "replica")
_TEXT = "%(asctime)s %(levelname)s %(message)s"

_about: ContextVar[Mapping[str, str]] = ContextVar("what is worked on", default=MappingProxyType({}))
# Values with such names are hidden, up to the end of their quotes, or of the word.
_NAMES = r"password|passwd|passphrase|secret\w*|(?<![a-z])token|(?:api|access|private|signing)[_-]?key(?![a-z_])"
_IS, _QUOTED = r"['\"]?\s*[=:]\s*", r"\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?"
_FIELD = r".*?(?=\n\s*\n|\n[A-Z]{4,}(?: \d+)?:|\Z)"
_SECRETS = (
    # The password of an address: whatever stands before its last @.
    (re.compile(r"(?<=://)([^\s:/@'\"]*):[^\s'\"]*@"), r"\1:***@"),
    # Whoever has a signed address may read what it leads to, so only the names of its parameters are kept.
    (re.compile(r"([?&][^\s=&'\"]+=)[^\s&'\"]+"), r"\1***"),
    (re.compile(rf"(authorization|cookie)({_IS})({_QUOTED}|[^\n'\"]+)", re.IGNORECASE), r"\1\2***"),
    (re.compile(rf"({_NAMES})({_IS})({_QUOTED}|[^\s'\"]+)", re.IGNORECASE), r"\1\2***"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE), r"\1 ***"),
    # PostgreSQL quotes the values of a row that it refuses, a person's words among them, which may have several lines.
    (re.compile(rf"(\b(?:DETAIL|CONTEXT|LINE \d+):){_FIELD}", re.DOTALL), r"\1 ***"),
    (re.compile(rf"(Failing row contains|Key \([^)\n]*\)=) ?\({_FIELD}", re.DOTALL), r"\1 ***"),
)


def write_lines(form: Form, **always: str) -> None:
    """From now on the whole process logs to stderr in this form; `always` are fields of each line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(always) if form == "json" else PlainLines(_TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    _log_what_has_other_ways()


def tell(sentence: str) -> None:
    """A sentence on stderr for whoever gave a command: plain, or as a log line where the log is JSON."""
    if any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers):
        log.info("%s", sentence)
        return
    try:
        print(sentence, file=sys.stderr, flush=True)
    except BrokenPipeError:
        stop_saying(sys.stderr)


def stop_saying(stream: TextIO) -> None:
    """To a stream whose reader has gone: what else is written there is lost, and stops nothing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def saying(about: Mapping[str, str]) -> Iterator[None]:
    """Lines of what happens inside say what it is about."""
    token = _about.set({**_about.get(), **about})
    try:
        yield
    finally:
        _about.reset(token)


class PlainLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return hidden(super().format(record))


class JsonLines(logging.Formatter):
    def __init__(self, always: Mapping[str, str]) -> None:
        super().__init__()
        self._always = always

    def format(self, record: logging.LogRecord) -> str:
        given = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": hidden(record.getMessage()),
            **self._always,
            **{name: str(value) for name, value in {**_about.get(), **given}.items() if name in FIELDS},
        }
        context = get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = format_trace_id(context.trace_id)
        if record.exc_info:
            line["error"] = hidden(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def hidden(text: str) -> str:
    for secret, shown in _SECRETS:
        text = secret.sub(shown, text)
    return text


def _log_what_has_other_ways() -> None:
    """Warnings, errors that nobody caught and retries, which are written past the log otherwise."""
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda ended: _log_uncaught(ended.exc_type, ended.exc_value, ended.exc_traceback)
    # Not every program that logs has stamina. Where structlog is installed, which Airflow brings along, stamina
    # prefers it, and nobody has told structlog to print elsewhere than on stdout.
    with suppress(ImportError):
        from stamina.instrumentation import PrometheusOnRetryHook, set_on_retry_hooks

        set_on_retry_hooks((PrometheusOnRetryHook, _log_retry))


def _log_uncaught(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt | SystemExit):
        log.critical("ended by %s", kind.__name__, exc_info=(kind, error or kind(), traceback))


def _log_retry(details: "RetryDetails") -> None:
    log.warning("%s: tried again in %.1f s (%d)", details.caused_by, details.wait_for, details.retry_num)
