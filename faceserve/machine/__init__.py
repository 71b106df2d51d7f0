"""What this process takes from the machine: cores, memory, priority, graphics processors."""
