-- Events that were published and told are thrown away after their time (RETRAIN_KEEP_EVENTS_DAYS).

CREATE INDEX IF NOT EXISTS outbox_over ON outbox (published_at) WHERE told_at IS NOT NULL;
