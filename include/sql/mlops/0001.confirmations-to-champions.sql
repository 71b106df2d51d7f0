-- The retraining application's own database.

CREATE TABLE task_confirmations (
    key               text PRIMARY KEY,
    task_id           text NOT NULL,
    helper_id         text NOT NULL,
    ai_result         text NOT NULL,
    final_result      text NOT NULL,
    corrected         boolean NOT NULL,
    correction_reason text,
    photo_url         text NOT NULL,
    model_version     text,
    confirmed_at      timestamptz NOT NULL,
    extra             jsonb NOT NULL DEFAULT '{}',
    received_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX task_confirmations_corrections ON task_confirmations (confirmed_at) WHERE corrected;

CREATE TABLE retraining_decisions (
    id             text PRIMARY KEY,
    model_type     text NOT NULL,
    due            boolean NOT NULL,
    rule           text NOT NULL,
    reason         text NOT NULL,
    corrections    integer NOT NULL,
    since_last_try integer NOT NULL,
    last_trained_at timestamptz,
    asked_by       text NOT NULL,
    decided_at     timestamptz NOT NULL
);

CREATE TABLE retraining_runs (
    run_id     text PRIMARY KEY,
    model_type text NOT NULL,
    begun_at   timestamptz NOT NULL,
    ended_at   timestamptz,
    outcome    text
);
CREATE UNIQUE INDEX retraining_runs_one_at_a_time ON retraining_runs (model_type) WHERE ended_at IS NULL;

CREATE TABLE datasets (
    dataset_id       text PRIMARY KEY,
    run_id           text NOT NULL UNIQUE,
    model_type       text NOT NULL,
    begun_at         timestamptz NOT NULL DEFAULT now(),
    manifest_sha256  text,
    corrections_through timestamptz,
    corrections      integer,
    uri              text,
    sha256           text,
    photo_count      integer,
    image_count      integer,
    train_count      integer,
    validation_count integer,
    holdout_count    integer,
    completed_at     timestamptz
);

CREATE TABLE photo_clusters (
    founder    bigint PRIMARY KEY,   -- 64-bit perceptual hash, as a signed number
    dataset_id text NOT NULL REFERENCES datasets,
    position   bigserial
);

CREATE TABLE dataset_photos (
    dataset_id text NOT NULL REFERENCES datasets,
    task_id    text NOT NULL,
    photo_url  text NOT NULL,
    sha256     text NOT NULL,
    cluster_id text NOT NULL,
    label      text NOT NULL,
    source     text NOT NULL,
    split      text NOT NULL,
    PRIMARY KEY (dataset_id, task_id)
);
CREATE INDEX dataset_photos_by_task ON dataset_photos (task_id);

CREATE TABLE training_runs (
    run_id          text NOT NULL,
    attempt         integer NOT NULL,
    dataset_id      text NOT NULL REFERENCES datasets,
    hyperparameters jsonb NOT NULL,
    cause           text NOT NULL,
    detail          text NOT NULL,
    change          text NOT NULL,
    recorded_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, attempt)
);

CREATE TABLE training_results (
    run_id      text PRIMARY KEY,
    dataset_id  text NOT NULL REFERENCES datasets,
    result      jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE verification_checks (
    run_id      text NOT NULL,
    part        text NOT NULL,
    checks      jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, part)
);

CREATE TABLE blessings (
    id         text PRIMARY KEY,
    run_id     text NOT NULL UNIQUE,
    model_type text NOT NULL,
    accepted   boolean NOT NULL,
    verdict    jsonb NOT NULL,
    decided_at timestamptz NOT NULL
);

CREATE TABLE model_versions (
    version          text NOT NULL,
    model_type       text NOT NULL,
    accuracy         double precision NOT NULL,
    val_accuracy     double precision NOT NULL,
    trained_at       timestamptz NOT NULL,
    deployed_at      timestamptz,
    status           text NOT NULL,
    previous_version text,
    run_id           text NOT NULL UNIQUE,
    dataset_id       text NOT NULL REFERENCES datasets,
    backbone         text NOT NULL,
    artifact_uri     text NOT NULL,
    manifest_sha256  text NOT NULL,
    registered_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model_type, version)
);

CREATE TABLE transitions (
    seq              bigserial PRIMARY KEY,
    id               text NOT NULL,
    phase            text NOT NULL CHECK (phase IN ('requested', 'served', 'failed')),
    model_type       text NOT NULL,
    kind             text NOT NULL,
    from_version     text,
    to_version       text NOT NULL,
    expected_current text,
    position         bigint,          -- 1, 2, 3 … of a model type's served transitions: two can never follow the same one
    actor            text NOT NULL,
    reason           text NOT NULL,
    blessing_id      text,
    requested_at     timestamptz NOT NULL,
    confirmed_served_at timestamptz,
    detail           text NOT NULL DEFAULT '',
    recorded_at      timestamptz NOT NULL DEFAULT now(),
    CHECK ((phase = 'served') = (position IS NOT NULL)),
    UNIQUE (model_type, position)
);
CREATE UNIQUE INDEX transitions_once_served ON transitions (id) WHERE phase = 'served';

CREATE TABLE outbox (
    position     bigserial PRIMARY KEY,
    id           text NOT NULL UNIQUE,
    type         text NOT NULL,
    payload      jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz
);
CREATE INDEX outbox_pending ON outbox (position) WHERE published_at IS NULL;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME; END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON blessings FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON transitions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON retraining_decisions FOR EACH ROW EXECUTE FUNCTION refuse_change();
