-- Looks of the monitor at face champions, with both rates as they were seen (UC-23); whom a photo shows who was looked for
-- among all and found as somebody else.

CREATE TABLE IF NOT EXISTS face_readings (
    id              bigserial PRIMARY KEY,
    version         text NOT NULL,
    at              timestamptz NOT NULL,
    state           text NOT NULL CHECK (state IN ('failing', 'warn', 'unknown', 'ok')),
    reason          text NOT NULL,
    refused_failed  bigint NOT NULL,
    refused_checks  bigint NOT NULL,
    refused_people  bigint NOT NULL,
    refused_low     double precision NOT NULL,
    refused_high    double precision NOT NULL,
    accepted_failed bigint NOT NULL,
    accepted_checks bigint NOT NULL,
    accepted_people bigint NOT NULL,
    accepted_low    double precision NOT NULL,
    accepted_high   double precision NOT NULL,
    decision        text NOT NULL
);
CREATE INDEX IF NOT EXISTS face_readings_newest ON face_readings (at DESC);

-- A hash of the name, as `person`; erased with it.
ALTER TABLE face_confirmations ADD COLUMN IF NOT EXISTS shown text;
CREATE INDEX IF NOT EXISTS face_confirmations_of_shown ON face_confirmations (shown) WHERE shown IS NOT NULL;
