"""Everything at once for as long as wanted, with a fault each minute: what fails, and what grows."""
