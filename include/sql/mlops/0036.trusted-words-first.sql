-- Of one photo a word that people trust counts before one that was set aside, whichever came last; so those that do not
-- count are found, too.

CREATE INDEX IF NOT EXISTS task_confirmations_of_photo ON task_confirmations (photo);
CREATE INDEX IF NOT EXISTS task_confirmations_silent ON task_confirmations (photo) WHERE NOT counts;
DROP INDEX IF EXISTS task_confirmations_by_photo;
