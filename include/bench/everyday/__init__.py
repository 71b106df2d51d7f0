"""What whoever works on it or operates it waits for: installing, starting, reading DAG files."""
