"""Stand-in for the Helper service: tasks, confirmations, outbox."""
