"""The access service's confirmed checks, read-only as the Helper's tasks: by the role, and by every session."""

from collections.abc import Sequence

from pipeline.adapters.mlops_db import read_only
from pipeline.domain.faces.identities import ConfirmedCheck

_NAME = "the access database"
# Impossible times and times in the future are left out. So are rows without a check id: without one a photo counts as
# one from a folder. `corrected` may be empty beside a word. An earlier access service lacks the column that says who
# else stood there.
_CONFIRMED = """
    WITH word AS (
        SELECT c.*, COALESCE(branch_id, '') AS branch, COALESCE(door_id, '') AS camera,
            COALESCE(reviewer_id, '') AS reviewer,
            NULLIF(to_jsonb(c) ->> 'shown_identity', '') AS shown
        FROM checks c
        WHERE check_id <> '' AND identity IS NOT NULL AND final_result IS NOT NULL
            AND confirmed_at BETWEEN '2000-01-01' AND now() + interval '1 day'
            AND created_at BETWEEN '2000-01-01' AND now() + interval '1 day'
    ), about AS (
        SELECT check_id, identity, photo_url, branch, created_at, confirmed_at, reviewer,
            final_result = 'same' AS same, ai_result <> final_result AS corrects, camera, COALESCE(shown, '') AS shown
        FROM word
        UNION ALL
        SELECT check_id, shown, photo_url, branch, created_at, confirmed_at, reviewer, true,
            ai_result <> final_result OR claimed_identity IS NULL, camera, ''
        FROM word WHERE shown <> identity AND final_result <> 'same'
    ), said AS (
        SELECT *, row_number() OVER (PARTITION BY identity, same ORDER BY confirmed_at DESC, check_id DESC) AS nth
        FROM about
    )
    SELECT check_id, identity, photo_url, branch, created_at, confirmed_at, reviewer, same, corrects, camera, shown
    FROM said WHERE nth <= %(per_person)s
    ORDER BY confirmed_at DESC, check_id DESC, same LIMIT %(limit)s"""


class AccessDatabase:
    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def confirmed(self, *, per_person: int, limit: int) -> Sequence[ConfirmedCheck]:
        with read_only(self._dsn, _NAME) as connection, connection.cursor() as cursor:
            cursor.execute(_CONFIRMED, {"per_person": per_person, "limit": limit})
            return [ConfirmedCheck(*row) for row in cursor.fetchall()]
