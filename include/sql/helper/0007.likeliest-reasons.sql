-- What a correction of the photo would most likely be about, as the model that judged it says: offered to the reviewer.

ALTER TABLE tasks ADD COLUMN IF NOT EXISTS likeliest_reasons text[] NOT NULL DEFAULT '{}';
