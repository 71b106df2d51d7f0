-- What does not work just now: told when it begins, now and then while it lasts, and once when it is over.

CREATE TABLE IF NOT EXISTS troubles (
    id        text PRIMARY KEY,
    dag_id    text NOT NULL,
    step      text,                        -- none: the DAG itself, which is paused
    part      integer NOT NULL,            -- of a step that runs several times in a run; else -1
    since     timestamptz NOT NULL,
    told_at   timestamptz NOT NULL,
    ended_at  timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS troubles_one_at_a_place ON troubles (dag_id, COALESCE(step, '')) WHERE ended_at IS NULL;
