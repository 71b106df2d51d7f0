"""From photos of people to a face model that may serve (UC-23)."""
