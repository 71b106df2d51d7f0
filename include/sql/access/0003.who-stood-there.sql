-- Who a photo shows that does not show `identity`, where a person said so.

ALTER TABLE checks ADD COLUMN shown_identity text CHECK (shown_identity <> identity);
CREATE INDEX checks_of_shown ON checks (shown_identity);
