"""One outside system a file; no policy."""
