-- A photo that was set aside is known by its bytes, too: erased, it takes other tasks with the same photo along.

ALTER TABLE set_aside_tasks ADD COLUMN IF NOT EXISTS sha256 text NOT NULL DEFAULT '';
-- Rows of before: copies of the first model's photos are named by their hash.
UPDATE set_aside_tasks SET sha256 = substring(photo_url FROM '/first-model/([0-9a-f]{64})')
    WHERE sha256 = '' AND kind <> 'unusable' AND photo_url ~ '/first-model/[0-9a-f]{64}';
-- By hash: an address that nobody could read may be longer than a tree's rows.
CREATE INDEX IF NOT EXISTS set_aside_tasks_by_sha256 ON set_aside_tasks USING hash (sha256);
CREATE INDEX IF NOT EXISTS set_aside_tasks_by_url ON set_aside_tasks USING hash (photo_url);
CREATE INDEX IF NOT EXISTS dataset_photos_by_sha256 ON dataset_photos USING hash (sha256);
CREATE INDEX IF NOT EXISTS dataset_photos_by_url ON dataset_photos USING hash (photo_url);
