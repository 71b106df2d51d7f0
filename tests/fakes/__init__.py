"""In-memory doubles of every port; the contract tests hold them to what the real adapters do."""
