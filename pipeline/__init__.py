"""The retraining application: importable and testable without Airflow."""
