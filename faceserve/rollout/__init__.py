"""Which version answers which request, how that changes, and what a replica remembers of it."""
