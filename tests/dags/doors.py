"""Every route of the dashboard as the real Airflow serves it: asked by nobody, and with logins of each kind."""

import httpx
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from starlette.routing import Route

from plugins.model_dashboard.app import make_app
from plugins.model_dashboard.dashboard_plugin import PREFIX

# What a route needs in its address and its question.
_ABOUT = "model_type=LAUNDRY&version=v1.0.0"


def asked(url):
    """By path the status of the answer to a viewer and to whoever has no login that counts; what is said beside."""
    tokens = dict(_tokens())
    strangers = {name: tokens[name] for name in ("nobody", "forged", "expired", "viewer")}
    statuses = {
        path: {name: _ask(url, path, token).status_code for name, token in strangers.items()} for path in _paths()
    }
    page, overview = _ask(url, "/", tokens["viewer"]), _ask(url, "/api/overview", tokens["viewer"])
    people = {name: _ask(url, "/api/person", tokens[name]).json() for name in _ROLES}
    return {
        "statuses": statuses,
        "headers": {"page": dict(page.headers), "overview": dict(overview.headers)},
        "database away": overview.json(),
        "may trigger": {name: sorted(set(person["may_trigger"].values())) for name, person in people.items()},
        "broken plugins": _airflow(url, "plugins/importErrors")["import_errors"],
        "navigation": [view["name"] for plugin in _airflow(url, "plugins")["plugins"] for view in _views(plugin)],
    }


_ROLES = {"viewer": "viewer", "operator": "user", "admin": "admin"}
_LONG_AGO_SECONDS = -3600


def _tokens():
    """As Airflow's login page leaves them in the browser; None for somebody who never was there."""
    sign = get_auth_manager().generate_jwt
    users = {name: SimpleAuthManagerUser(username=name, role=role) for name, role in _ROLES.items()}
    yield "nobody", None
    yield "forged", "forged"
    yield "expired", sign(users["admin"], expiration_time_in_seconds=_LONG_AGO_SECONDS)
    for name, user in users.items():
        yield name, sign(user)


def _paths():
    routes = [route for route in make_app().routes if isinstance(route, Route)]
    return [route.path.replace("{name}", "icon").replace("{version}", "x") for route in routes]


def _ask(url, path, token):
    cookies = {"_token": token} if token else {}
    return httpx.get(f"{url}{PREFIX}{path}?{_ABOUT}", cookies=cookies, timeout=60)


def _airflow(url, path):
    login = {"Authorization": f"Bearer {dict(_tokens())['admin']}"}
    return httpx.get(f"{url}/api/v2/{path}", headers=login, timeout=60).raise_for_status().json()


def _views(plugin):
    return [*plugin["external_views"], *plugin["react_apps"]]
