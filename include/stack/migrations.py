"""Numbered changes of tables, applied in order: at a start, and to a database that a backup brought back."""

from collections.abc import Callable
from pathlib import Path

MIGRATIONS = Path(__file__).resolve().parents[1] / "sql"
"""A folder for each database of ours."""


def _nothing() -> None:
    return


def migrate(dsn: str, folder: Path, *, before: Callable[[], None] = _nothing) -> None:
    """Apply the numbered migrations that are not applied yet, after `before`; one that was killed is done again."""
    from yoyo import get_backend, read_migrations

    backend = get_backend(dsn)
    try:
        # Not yoyo's own lock: it is a row, which a killed process leaves behind. This one ends with the connection.
        backend.execute("SELECT pg_advisory_lock(hashtext('migrations'))")
        if new := backend.to_apply(read_migrations(str(folder))):
            before()
            backend.apply_migrations(new)
    finally:
        backend.connection.close()
