"""What another service has not published yet. An observer may read only the times in its outbox."""

from pipeline.adapters.snapshot import snapshot
from pipeline.ports.facts import Unpublished

_UNPUBLISHED = """
    SELECT (SELECT count(*) FROM outbox WHERE published_at IS NULL),
        COALESCE(extract(epoch FROM now() - (
            SELECT created_at FROM outbox WHERE published_at IS NULL ORDER BY position LIMIT 1)), 0)"""


def unpublished_in(dsn: str, name: str) -> Unpublished:
    """`name` is what people call the database. Raises `ServiceUnavailable`."""
    with snapshot(dsn, name) as database, database.transaction() as cursor:
        cursor.execute(_UNPUBLISHED)
        row = cursor.fetchone()
    assert row is not None
    return Unpublished(row[0], float(row[1]))
