"""The model server: knows nothing of retraining."""

__version__ = "0.1.0"
