-- A person may also refuse what verification held.

ALTER TABLE blessing_overrides DROP CONSTRAINT IF EXISTS blessing_overrides_kind_check;
ALTER TABLE blessing_overrides ADD CONSTRAINT blessing_overrides_kind_check
    CHECK (kind IN ('approved', 'forced', 'refused'));
