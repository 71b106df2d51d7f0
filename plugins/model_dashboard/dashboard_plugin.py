"""Registers the dashboard. Airflow runs this file in every one of its processes, so it imports next to nothing."""

from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

PREFIX = "/model-dashboard"
# Where the browser sees Airflow: behind a proxy it may be under a path.
_BASE = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


class OnFirstRequest:
    """The app, built by the first request: other processes never need it, and if it cannot be built, this page is
    missing and nothing else of Airflow.
    """

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            from plugins.model_dashboard.app import make_app

            self._app = make_app()
        await self._app(scope, receive, send)


class ModelDashboard(AirflowPlugin):
    name = "model_dashboard"
    fastapi_apps = [{"app": OnFirstRequest(), "url_prefix": PREFIX, "name": "Models"}]
    external_views = [
        {
            "name": "Models",
            "href": f"{_BASE}{PREFIX}/",
            "destination": "nav",
            "url_route": "models",
            "nav_top_level": True,
            "icon": f"{_BASE}{PREFIX}/icon.svg",
            "icon_dark_mode": f"{_BASE}{PREFIX}/icon-dark.svg",
        }
    ]
    # Its name is the page's global name of the component as well.
    react_apps = [
        {
            "name": "ModelsStrip",
            "bundle_url": f"{_BASE}{PREFIX}/files/newest/strip.js",
            "destination": "dashboard",
        }
    ]
