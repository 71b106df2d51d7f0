"""What the steps need from the outside world; adapters and fakes implement these, steps see nothing else."""
