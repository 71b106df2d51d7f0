"""Training in a GPU pod on spot nodes."""
