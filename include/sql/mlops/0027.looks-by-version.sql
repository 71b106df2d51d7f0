-- What the monitor saw last of each version, old ones too.

CREATE INDEX IF NOT EXISTS live_accuracy_readings_by_version ON live_accuracy_readings (model_type, version, at DESC);
