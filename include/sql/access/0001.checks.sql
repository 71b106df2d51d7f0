-- The access service's database (stand-in). MLOps may only read `checks`, with a login of its own, as with the Helper's
-- tasks (DD-03). `identity` is whom the answer is about: who was claimed, else who looks most like the photo.

CREATE TABLE checks (
    check_id          text PRIMARY KEY,
    door_id           text NOT NULL,
    branch_id         text,
    photo_url         text NOT NULL,
    claimed_identity  text,
    identity          text,
    score             double precision,
    threshold         double precision NOT NULL,
    ai_result         text NOT NULL CHECK (ai_result IN ('same', 'different')),
    model_version     text NOT NULL,
    final_result      text CHECK (final_result IN ('same', 'different')),
    corrected         boolean,
    correction_reason text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    confirmed_at      timestamptz,
    CHECK (ai_result = 'different' OR identity IS NOT NULL AND score >= threshold)
);
CREATE INDEX checks_confirmed ON checks (confirmed_at DESC, check_id) WHERE confirmed_at IS NOT NULL;
CREATE INDEX checks_of_person ON checks (identity);
CREATE INDEX checks_of_claimed ON checks (claimed_identity);

CREATE TABLE outbox (
    position     bigserial PRIMARY KEY,
    id           text NOT NULL UNIQUE,
    payload      jsonb NOT NULL,
    traceparent  text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz
);
CREATE INDEX outbox_pending ON outbox (position) WHERE published_at IS NULL;

GRANT SELECT ON checks TO mlops_reader;
