"""Wiring only: one file, one DAG (or one per model type)."""
