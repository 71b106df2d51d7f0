-- Of one person's word a dataset of faces takes only so much.

ALTER TABLE checks ADD COLUMN reviewer_id text;
