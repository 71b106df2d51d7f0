"""The demo: seeded laundry photos, tasks, confirmations, and the loop shown end to end."""
