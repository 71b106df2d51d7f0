-- Of a check that named nobody, or somebody else, a person may say who stood there (UC-23): a hash of the name, as `person`.

ALTER TABLE face_confirmations ADD COLUMN IF NOT EXISTS shown text;
CREATE INDEX IF NOT EXISTS face_confirmations_of_shown ON face_confirmations (shown) WHERE shown IS NOT NULL;

-- Of checks that asked who it is: not named at all, and taken for somebody else. Looks of before saw none.
ALTER TABLE face_readings
    ADD COLUMN IF NOT EXISTS unnamed_failed bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS unnamed_checks bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS unnamed_people bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS unnamed_low double precision NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS unnamed_high double precision NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS misnamed_failed bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS misnamed_checks bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS misnamed_people bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS misnamed_low double precision NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS misnamed_high double precision NOT NULL DEFAULT 1;
