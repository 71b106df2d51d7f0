"""What collecting and augmenting cost: seconds and memory, at the sizes that matter."""
