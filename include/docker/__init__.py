"""What docker-compose.yaml builds and runs beside the applications themselves."""
