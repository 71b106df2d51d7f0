"""What breaks when ten million verdicts are confirmed a month: the real records under a month of work."""
