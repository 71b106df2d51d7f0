"""What the records say, as metrics: pure arithmetic from rows to numbers; what nobody knows has no number."""
