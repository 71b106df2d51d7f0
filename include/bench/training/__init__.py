"""Training: how much faster than a plain fit, as right as one, and what a kill costs it."""
