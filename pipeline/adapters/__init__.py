"""One outside system per file; no policy."""
