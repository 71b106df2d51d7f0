"""A request on its way to an answer: its photo, its turn at an engine, and which version answers."""
