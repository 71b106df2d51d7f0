"""What breaks when ten million verdicts are confirmed a month: the real records under a month of work."""

import os

SCALE = int(os.environ.get("BENCH_SCALE", "25"))
"""One in so many of every half hour's confirmations is replayed, all else alike; 1 is all of them."""
