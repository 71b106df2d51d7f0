"""Who is an administrator of Airflow, as far as its configuration says it."""

from airflow.configuration import conf

_ROLE = "admin"


def administrators() -> tuple[str, ...]:
    """Logins that the simple auth manager gives the role `admin`; none where another manager knows, or all have it."""
    simple = conf.get("core", "auth_manager", fallback="").endswith(".SimpleAuthManager")
    if not simple or conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False):
        return ()
    users = (user.rpartition(":") for user in conf.getlist("core", "simple_auth_manager_users", fallback=[]))
    return tuple(name for name, _, role in users if role == _ROLE)
