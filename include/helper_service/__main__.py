"""`python -m include.helper_service`: serve the stand-in until stopped."""

import logging
import sys

import uvicorn

from include.helper_service.app import create_app
from include.helper_service.settings import Settings

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    settings = Settings()
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, log_level="warning", access_log=False)
