"""The gRPC services: they translate messages to Python and errors to statuses, and decide nothing."""
