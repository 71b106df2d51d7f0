"""What the rules do to models of known quality, by simulation."""
