"""What the records say, as facts: pure arithmetic from rows to numbers, without a value for what nobody knows."""
