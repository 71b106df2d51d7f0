"""What training and serving agree on: messages, artifact manifest, preprocessing."""
