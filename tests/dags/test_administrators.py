"""Whom Airflow's configuration calls an administrator."""

import pytest

from plugins.administrators import administrators

SIMPLE = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"


@pytest.mark.parametrize(
    ("manager", "users", "all_admins", "found"),
    [
        (SIMPLE, "boss:admin,kim:user,lee:op,second:admin,ro:viewer", "False", ("boss", "second")),
        (SIMPLE, "boss:ADMIN,kim:user,second:Admin", "False", ("boss", "second")),
        (SIMPLE, "boss:admin:team1,lee:op:admin,second:ADMIN:team1|team2", "False", ("boss", "second")),
        (SIMPLE, "kim:user,admin:viewer", "False", ()),
        (SIMPLE, "boss:admin", "True", None),
        ("airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager", "boss:admin", "False", None),
    ],
)
def test_whom_airflow_gives_the_role_admin_is_one(monkeypatch, manager, users, all_admins, found):
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", manager)
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", users)
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", all_admins)
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", str(":team" in users))
    assert administrators() == found
