"""Waiting for task confirmations without touching them (ADR 0003)."""
