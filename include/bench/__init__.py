"""Benchmarks, each against the plain alternative in the same run."""
