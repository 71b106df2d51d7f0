"""What the UI offers after a verdict: the report as a link, and one more run with other hyperparameters."""
