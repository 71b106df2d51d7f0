"""Stand-in for the access service: who may pass a door, what people say of that, outbox."""
