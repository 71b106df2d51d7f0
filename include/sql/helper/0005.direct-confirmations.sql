-- What was confirmed past the review page replaces every word before it: kept, so that later words are counted with it.

ALTER TABLE tasks ADD COLUMN direct_result text, ADD COLUMN direct_at timestamptz;
UPDATE tasks SET direct_result = final_result, direct_at = confirmed_at
WHERE confirmed_at IS NOT NULL
  AND NOT EXISTS (SELECT FROM reviews r WHERE r.task_id = tasks.task_id AND r.settled_at IS NOT NULL);
