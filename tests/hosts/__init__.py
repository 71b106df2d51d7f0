"""Workers as hosts of their own: what `python -m tests.hosts` shows of `RETRAIN_EXECUTOR=celery`."""
