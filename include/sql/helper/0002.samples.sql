-- What the retraining application asks of `tasks` beside the newest rows: samples spread over all time. With these
-- indexes a sample costs the rows it returns, however many tasks there are.

CREATE INDEX tasks_sample ON tasks (md5(task_id)) WHERE confirmed_at IS NOT NULL;
CREATE INDEX tasks_corrections_sample ON tasks (md5(task_id)) WHERE corrected AND confirmed_at IS NOT NULL;
