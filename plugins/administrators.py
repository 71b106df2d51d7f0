"""Who is an administrator of Airflow, as far as its configuration says it."""

from airflow.configuration import conf


def administrators() -> tuple[str, ...] | None:
    """Logins with the role `admin` of the simple auth manager, maybe none; None where another manager knows, or
    everybody has it.
    """
    simple = conf.get("core", "auth_manager", fallback="").endswith(".SimpleAuthManager")
    if not simple or conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False):
        return None
    # Airflow reads its own list: what it takes for the role is no rule of ours. Only whoever asks pays for the import.
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager, SimpleAuthManagerRole

    admin = SimpleAuthManagerRole.ADMIN.name
    return tuple(user.username for user in SimpleAuthManager.get_users() if (user.role or "").upper() == admin)
