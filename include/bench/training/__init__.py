"""Training beside a plain fit, in speed and in accuracy; and what it loses when it is killed."""
