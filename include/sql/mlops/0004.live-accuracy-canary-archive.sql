-- After a model is live: notes beside changes of champion, live accuracy, what people were told.

ALTER TABLE transitions DROP CONSTRAINT transitions_phase_check;
ALTER TABLE transitions ADD CONSTRAINT transitions_phase_check
    CHECK (phase IN ('requested', 'served', 'failed', 'noted'));
CREATE UNIQUE INDEX transitions_once_noted ON transitions (id) WHERE phase = 'noted';

-- Anything but a plain true is no mark of the blind sample; a cast would let one odd message stop a whole batch.
ALTER TABLE task_confirmations
    ADD COLUMN blind boolean NOT NULL GENERATED ALWAYS AS (COALESCE(extra -> 'blindAudit' = 'true', false)) STORED;

-- Everything the monitor asks, so that it never reads the rows themselves.
CREATE INDEX task_confirmations_by_version
    ON task_confirmations (model_version, confirmed_at) INCLUDE (final_result, corrected, blind);

CREATE TABLE live_accuracy_readings (
    id            bigserial PRIMARY KEY,
    model_type    text NOT NULL,
    version       text NOT NULL,
    at            timestamptz NOT NULL,
    state         text NOT NULL,
    reason        text NOT NULL,
    confirmed     bigint NOT NULL,
    agreed        bigint NOT NULL,
    accuracy      double precision,
    low           double precision NOT NULL,
    high          double precision NOT NULL,
    blind_confirmed bigint NOT NULL,
    blind_agreed  bigint NOT NULL,
    labels        jsonb NOT NULL,          -- of the champion: [{label, confirmed, agreed}]
    versions      jsonb NOT NULL,          -- every version in the window: {version: [{label, confirmed, agreed}]}
    decision      text NOT NULL            -- rolled back, and why or why not
);
CREATE INDEX live_accuracy_readings_newest ON live_accuracy_readings (model_type, at DESC);

CREATE TABLE live_accuracy_episodes (
    id         text PRIMARY KEY,
    model_type text NOT NULL,
    version    text NOT NULL,
    opened_at  timestamptz NOT NULL,
    closed_at  timestamptz,
    ended_by   text
);
CREATE UNIQUE INDEX live_accuracy_one_episode ON live_accuracy_episodes (model_type) WHERE closed_at IS NULL;

ALTER TABLE outbox ADD COLUMN told_at timestamptz;
CREATE INDEX outbox_untold ON outbox (position) WHERE told_at IS NULL;
-- What was published before anybody could be told is no news.
UPDATE outbox SET told_at = now();
