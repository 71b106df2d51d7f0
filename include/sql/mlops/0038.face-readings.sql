-- Looks of the monitor at face champions, with both rates as they were seen (UC-23).

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
