"""What this process takes from the machine: memory, priority, graphics processors."""
