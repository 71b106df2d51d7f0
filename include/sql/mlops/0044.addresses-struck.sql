-- Erasing a photo strikes its address from every text of every table, also where nothing else may ever change.

-- `(erased)` instead of each of the addresses, where that is one: after it no other address goes on. Whoever says a text
-- of JSON says the addresses as JSON has them.
CREATE OR REPLACE FUNCTION struck(said text, addresses text[]) RETURNS text LANGUAGE plpgsql STABLE AS
$$ DECLARE
    address text;
BEGIN
    FOREACH address IN ARRAY addresses LOOP
        -- Nothing else than an object of S3 may be struck: else who may erase could rewrite what is append-only.
        IF address !~ '^s3://[^/]+/.' THEN
            RAISE EXCEPTION 'only addresses of S3 are struck';
        END IF;
        IF strpos(said, address) > 0 THEN
            said = regexp_replace(said,
                regexp_replace(address, '([][\\.*+?(){}|^$])', '\\\1', 'g') || '(?![A-Za-z0-9_/-]|[.#?%][A-Za-z0-9_])',
                '(erased)', 'g');
        END IF;
    END LOOP;
    RETURN said;
END $$;

-- Whether a row that is append-only lost nothing but addresses that are being erased: `erasure.addresses` has them as
-- JSON does, and is empty otherwise.
CREATE OR REPLACE FUNCTION only_struck(before jsonb, after jsonb) RETURNS boolean LANGUAGE plpgsql STABLE AS
$$ DECLARE
    addresses text[] = NULLIF(current_setting('erasure.addresses', true), '')::text[];
BEGIN
    RETURN addresses IS NOT NULL AND after = struck(before::text, addresses)::jsonb;
END $$;

-- As `0001` and `0002` have them, but for that.
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF only_struck(to_jsonb(OLD), to_jsonb(NEW)) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME;
END $$;
CREATE OR REPLACE FUNCTION holdout_only_grows() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.sha256 = ''
            AND (NEW.model_type, NEW.task_id, NEW.cluster_id, NEW.phash, NEW.version, NEW.dataset_id)
              = (OLD.model_type, OLD.task_id, OLD.cluster_id, OLD.phash, OLD.version, OLD.dataset_id)
            OR only_struck(to_jsonb(OLD), to_jsonb(NEW)) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'table holdout_photos is append-only';
END $$;

-- What somebody wrote about a photo that is erased goes with it, as in `face_confirmations`.
LOCK TABLE task_confirmations IN SHARE ROW EXCLUSIVE MODE;
CREATE OR REPLACE FUNCTION keep_erased_photos_out() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF EXISTS (SELECT FROM erased_photos WHERE task_id = NEW.task_id) THEN
        NEW.photo_url = '';
        NEW.correction_reason = NULL;
        NEW.extra = CASE WHEN NEW.extra -> 'blindAudit' = 'true' THEN '{"blindAudit": true}'::jsonb ELSE '{}' END;
    END IF;
    RETURN NEW;
END $$;
UPDATE task_confirmations SET correction_reason = NULL
    WHERE correction_reason IS NOT NULL AND task_id IN (SELECT task_id FROM erased_photos);
