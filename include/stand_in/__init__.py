"""What stand-ins for other people's services share: requests, database, outbox and the thread that publishes it."""
