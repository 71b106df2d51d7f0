-- `accuracy` is the verdict's, as event, registry and report tell it; it was the trainer's, on what it had learned.

UPDATE model_versions v SET accuracy = (c ->> 'value')::double precision
FROM blessings b, jsonb_array_elements(b.verdict -> 'checks') c
WHERE b.run_id = v.run_id AND c ->> 'name' = 'validation_accuracy' AND jsonb_typeof(c -> 'value') = 'number';

COMMENT ON COLUMN model_versions.accuracy IS 'of the verdict: validation photos, through a real server, 0-1';
COMMENT ON COLUMN model_versions.val_accuracy IS 'of the trainer, before the export, on the validation images, 0-1';
