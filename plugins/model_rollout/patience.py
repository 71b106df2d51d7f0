"""How long a question to a person stays open, as a time and in words."""

from datetime import timedelta

PATIENCE = timedelta(hours=24)
IN_TIME = f"within {PATIENCE // timedelta(hours=1)} hours"
