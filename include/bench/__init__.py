"""Benchmarks and studies: one registry, one command line, one file of results."""
