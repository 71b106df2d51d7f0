-- Striking an address leaves those of other photos whole that begin with it, and strikes what asks for one version of it.

-- As `0044` has it, but for `others`: addresses that stay. With none it does what it did, for whoever runs the release of
-- before.
DROP FUNCTION IF EXISTS struck(text, text[]);
CREATE OR REPLACE FUNCTION struck(said text, addresses text[], others text[] DEFAULT '{}') RETURNS text
LANGUAGE plpgsql STABLE AS
$$ DECLARE
    special CONSTANT text = '([][\\.*+?(){}|^$])';
    ends CONSTANT text = '(?![A-Za-z0-9_/-]|[.%][A-Za-z0-9_])';
    version CONSTANT text = '([?#][A-Za-z0-9_.~%=&+/:@?#!$*-]*[A-Za-z0-9_=])?';
    address text;
    longer text;
BEGIN
    -- Longer ones first: of one that begins with another nothing is left over.
    FOR address IN SELECT one FROM unnest(addresses) AS one ORDER BY length(one) DESC, one LOOP
        -- Nothing else than an object of S3 may be struck: else who may erase could rewrite what is append-only.
        IF address !~ '^s3://[^/]+/.' THEN
            RAISE EXCEPTION 'only addresses of S3 are struck';
        END IF;
        IF strpos(said, address) > 0 THEN
            SELECT string_agg(regexp_replace(substr(one, length(address) + 1), special, '\\\1', 'g') || ends, '|')
                INTO longer FROM unnest(others) AS one WHERE starts_with(one, address) AND one <> address;
            said = regexp_replace(said,
                regexp_replace(address, special, '\\\1', 'g') || COALESCE('(?!' || longer || ')', '') || ends || version,
                '(erased)', 'g');
        END IF;
    END LOOP;
    RETURN said;
END $$;

-- As `0044` has it; `erasure.others` has those that stay as `erasure.addresses` has those that go.
CREATE OR REPLACE FUNCTION only_struck(before jsonb, after jsonb) RETURNS boolean LANGUAGE plpgsql STABLE AS
$$ DECLARE
    addresses text[] = NULLIF(current_setting('erasure.addresses', true), '')::text[];
    others text[] = COALESCE(NULLIF(current_setting('erasure.others', true), ''), '{}')::text[];
BEGIN
    RETURN addresses IS NOT NULL AND after = struck(before::text, addresses, others)::jsonb;
END $$;
