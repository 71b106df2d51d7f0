-- A reviewer hears what became of their own corrections: read from an index, however many others reviewed.

CREATE INDEX reviews_of_a_person ON reviews (reviewer_id, said_at);
