"""The outside world as Airflow knows it: connections, and a variable with thresholds, beside `RETRAIN_*`."""
