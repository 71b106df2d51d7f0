"""The train task: a local child process, or a GPU pod on spot nodes; the same command either way."""
