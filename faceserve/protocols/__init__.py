"""The gRPC services: who may call, Python objects in and out, refusals as statuses; no decisions."""
