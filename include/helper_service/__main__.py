"""`python -m include.helper_service`: serve the stand-in until stopped."""

import uvicorn

from include.contract.log_lines import write_lines
from include.helper_service.app import create_app
from include.helper_service.settings import Settings

if __name__ == "__main__":
    settings = Settings()
    write_lines(settings.log_format)
    # None: its lines are like all others.
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        log_level="warning",
        access_log=False,
    )
