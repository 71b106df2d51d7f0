-- A trouble keeps which copies of a step fail, what people were told of it, and since when it works.

-- What goes on is told again at its next failure.
ALTER TABLE troubles
    DROP COLUMN IF EXISTS part,
    DROP COLUMN IF EXISTS told_at,
    ADD COLUMN IF NOT EXISTS parts integer[] NOT NULL DEFAULT '{}',       -- copies that did not work since; -1: the only one
    ADD COLUMN IF NOT EXISTS told jsonb NOT NULL DEFAULT '{}',            -- kind of reason: when people last heard of it
    ADD COLUMN IF NOT EXISTS failed_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS worked_at timestamptz;                       -- first success after the last failure
