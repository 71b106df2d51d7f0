-- Sides of clusters for ever, the append-only holdout, lineage of every frozen photo, and what was erased.

ALTER TABLE photo_clusters ADD COLUMN split text;
-- Clusters of before: from what they were used for. One that nothing was ever made of gets its side when it is next seen.
UPDATE photo_clusters c SET split = p.split FROM dataset_photos p
    WHERE p.cluster_id = lpad(to_hex(c.founder), 16, '0');

ALTER TABLE datasets ADD COLUMN holdout_version integer NOT NULL DEFAULT 0;

CREATE INDEX dataset_photos_by_dataset ON dataset_photos (dataset_id);

CREATE TABLE holdout_photos (
    model_type text NOT NULL,
    task_id    text NOT NULL,
    cluster_id text NOT NULL,
    sha256     text NOT NULL,
    phash      text NOT NULL,
    version    integer NOT NULL,   -- the first version of the holdout that has it; later ones have it too
    dataset_id text NOT NULL REFERENCES datasets,
    added_at   timestamptz NOT NULL DEFAULT now(),
    position   bigserial,
    PRIMARY KEY (model_type, task_id)
);

-- Holdouts of before are the first version; of their photos the cluster's hash is what is left.
INSERT INTO holdout_photos (model_type, task_id, cluster_id, sha256, phash, version, dataset_id)
    SELECT DISTINCT ON (d.model_type, p.task_id) d.model_type, p.task_id, p.cluster_id, p.sha256, p.cluster_id, 1, d.dataset_id
    FROM dataset_photos p JOIN datasets d USING (dataset_id)
    WHERE p.split = 'holdout' ORDER BY d.model_type, p.task_id, d.begun_at;
UPDATE datasets SET holdout_version = 1 WHERE completed_at IS NOT NULL;

-- Members stay for ever. Erasing a photo empties its hash; cluster and version stay, so that its likes stay held out.
CREATE FUNCTION holdout_only_grows() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF TG_OP = 'UPDATE' AND NEW.sha256 = ''
       AND (NEW.model_type, NEW.task_id, NEW.cluster_id, NEW.phash, NEW.version, NEW.dataset_id)
         = (OLD.model_type, OLD.task_id, OLD.cluster_id, OLD.phash, OLD.version, OLD.dataset_id) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'table holdout_photos is append-only';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON holdout_photos
    FOR EACH ROW EXECUTE FUNCTION holdout_only_grows();

-- How often each version of the holdout took part in a verdict: every verdict tells a little of what is in it.
CREATE VIEW holdout_uses AS
    SELECT h.model_type, h.version, count(DISTINCT h.task_id) AS photos, count(DISTINCT b.run_id) AS uses
    FROM holdout_photos h
    LEFT JOIN datasets d ON d.model_type = h.model_type AND d.holdout_version >= h.version
    LEFT JOIN blessings b ON b.run_id = d.run_id
    GROUP BY h.model_type, h.version;

CREATE TABLE erased_photos (
    task_id   text PRIMARY KEY,
    sha256s   text[] NOT NULL,
    actor     text NOT NULL,
    reason    text NOT NULL,
    erased_at timestamptz NOT NULL
);
