"""The model server: knows nothing of retraining."""
