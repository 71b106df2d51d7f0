"""`python -m include.access_service`: serve the stand-in until stopped."""

from include.access_service.app import create_app
from include.access_service.settings import Settings
from include.stand_in.serving import serve

if __name__ == "__main__":
    settings = Settings()
    serve(create_app(settings), settings)
