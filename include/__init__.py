"""Assets and shared contract beside the code."""
