"""Thirty faults on the programs of the real stack, each followed by the five invariants (include/reliability.md)."""
