"""What the model server can do, measured on replicas that run as in production."""
