"""From an artifact in object storage to a model in memory that passed every check."""
