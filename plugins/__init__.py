"""Airflow plugins: waiting for task events, and what the UI shows."""
