-- The trace that a confirmation began (W3C `traceparent`), so that the run that learns from it can name it; most have none.

ALTER TABLE task_confirmations ADD COLUMN IF NOT EXISTS traceparent text;
