"""`python -m include.access_service`: serve the stand-in until stopped."""

import click

from include.access_service.app import create_app
from include.access_service.settings import Settings
from include.stand_in.serving import serve


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    settings = Settings()
    serve(create_app(settings), settings)


if __name__ == "__main__":
    main()
