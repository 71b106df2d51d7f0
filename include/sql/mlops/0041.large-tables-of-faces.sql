-- Of years of confirmations about faces only the corrections that wait are read.

CREATE INDEX IF NOT EXISTS face_corrections_by_time ON face_confirmations (confirmed_at)
    WHERE ai_result <> final_result OR shown IS NOT NULL AND NOT claimed;
CREATE INDEX IF NOT EXISTS face_corrections_received ON face_confirmations (received_at)
    WHERE ai_result <> final_result OR shown IS NOT NULL AND NOT claimed;
