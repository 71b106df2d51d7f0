"""No sequence of acts puts the wrong model live: acts, faults and people in any order (ADR 0004, 0016)."""
