-- What people look at is found by an index, however many rows there are.

CREATE INDEX IF NOT EXISTS retraining_decisions_newest ON retraining_decisions (model_type, decided_at DESC);
