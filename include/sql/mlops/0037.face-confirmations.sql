-- What people say of checks at doors (UC-23). A table of its own: whatever counts laundry cannot count a face.

CREATE TABLE IF NOT EXISTS face_confirmations (
    key               text PRIMARY KEY,
    check_id          text NOT NULL,
    door_id           text NOT NULL,
    -- A hash of the name, as erasures remember it.
    person            text NOT NULL,
    claimed           boolean NOT NULL,
    ai_result         text NOT NULL CHECK (ai_result IN ('same', 'different')),
    final_result      text NOT NULL CHECK (final_result IN ('same', 'different')),
    correction_reason text,
    photo_url         text NOT NULL,
    model_version     text NOT NULL,
    confirmed_at      timestamptz NOT NULL,
    score             double precision NOT NULL,
    threshold         double precision NOT NULL,
    extra             jsonb NOT NULL DEFAULT '{}',
    received_at       timestamptz NOT NULL DEFAULT now(),
    -- As `domain/event_bounds.py` says.
    CONSTRAINT bounded CHECK (
        char_length(check_id) BETWEEN 1 AND 128
        AND char_length(door_id) BETWEEN 1 AND 128
        AND (correction_reason IS NULL OR char_length(correction_reason) <= 4000)
        AND char_length(photo_url) <= 1093
        AND char_length(model_version) BETWEEN 1 AND 128
        AND confirmed_at >= '2020-01-01T00:00:00Z'
        AND octet_length(extra::text) <= 16384
    )
);
CREATE INDEX IF NOT EXISTS face_confirmations_of_check ON face_confirmations (check_id, confirmed_at);
CREATE INDEX IF NOT EXISTS face_confirmations_by_time ON face_confirmations (confirmed_at);
CREATE INDEX IF NOT EXISTS face_confirmations_of_person ON face_confirmations (person);
