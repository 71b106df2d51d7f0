-- What people set aside: rows stay as they are, and are given back by another row.

CREATE TABLE IF NOT EXISTS withholdings (
    id          text PRIMARY KEY,
    scope       text NOT NULL CHECK (scope IN ('version', 'branch', 'reviewer')),
    name        text NOT NULL,
    since       timestamptz[] NOT NULL,   -- of a version: when it served, one period each
    until       timestamptz[] NOT NULL,
    actor       text NOT NULL CHECK (btrim(actor) <> ''),
    reason      text NOT NULL CHECK (btrim(reason) <> ''),
    at          timestamptz NOT NULL,
    corrections integer NOT NULL
);
CREATE TABLE IF NOT EXISTS withholdings_given_back (
    id     text PRIMARY KEY REFERENCES withholdings,
    actor  text NOT NULL CHECK (btrim(actor) <> ''),
    reason text NOT NULL CHECK (btrim(reason) <> ''),
    at     timestamptz NOT NULL
);
DO $$ DECLARE name text; BEGIN
    FOREACH name IN ARRAY ARRAY['withholdings', 'withholdings_given_back'] LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I'
                       ' FOR EACH ROW EXECUTE FUNCTION refuse_change()', name);
        EXECUTE format('CREATE OR REPLACE TRIGGER never_emptied BEFORE TRUNCATE ON %I'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
    END LOOP;
END $$;

-- Of corrections alone: what nobody corrected waits for nothing.
ALTER TABLE task_confirmations ADD COLUMN IF NOT EXISTS withheld boolean NOT NULL DEFAULT false;
CREATE INDEX IF NOT EXISTS task_confirmations_withheld ON task_confirmations (confirmed_at) WHERE withheld;

-- As `domain/withholding.py` says it.
CREATE OR REPLACE FUNCTION covers(scope text, name text, since timestamptz[], until timestamptz[], c task_confirmations)
    RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT COALESCE(CASE scope
    WHEN 'branch' THEN name IN (c.helper_id, c.extra ->> 'branchId')
    WHEN 'reviewer' THEN name = c.extra ->> 'reviewerId'
    ELSE EXISTS (SELECT FROM unnest(since, until) AS p (since, until)
                 WHERE c.confirmed_at > p.since AND c.confirmed_at <= p.until)
    END, false) $$;
CREATE OR REPLACE FUNCTION is_withheld(c task_confirmations) RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT EXISTS (
    SELECT FROM withholdings w
    WHERE NOT EXISTS (SELECT FROM withholdings_given_back g WHERE g.id = w.id)
        AND covers(w.scope, w.name, w.since, w.until, c)) $$;
