"""Which version answers which requests, how that changes, and what a replica remembers of it."""
