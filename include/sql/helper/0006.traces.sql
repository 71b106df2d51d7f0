-- The trace that a word began (W3C `traceparent`): its event leaves later, from another thread.

ALTER TABLE reviews ADD COLUMN IF NOT EXISTS traceparent text;
ALTER TABLE outbox ADD COLUMN IF NOT EXISTS traceparent text;
