"""Why replay, and why split before augmenting (ADR 0002, ADR 0001), measured on the demo's photos."""
