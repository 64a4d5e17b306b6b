"""The release before, on a database that the next one has migrated: what it meets while a deployment goes on."""

import signal
from collections.abc import Mapping

import httpx
import psutil
import pytest
from conftest import Admin, Cluster, Person
from live import gunicorn, serving
from waiting import wait_until

from isolation.breakages import rewritten
from taskapp.isolation.doctor.startup_check import NotIsolatedError, insist

pytestmark = pytest.mark.extended


def production(cluster: Cluster) -> Mapping[str, str]:
    return {**cluster.environment, "TASKAPP_ENVIRONMENT": "production"}


def assert_served(url: str, person: Person) -> None:
    for path in ("/readyz", "/v1/tasks"):
        assert httpx.get(url + path, headers=person.headers, trust_env=False, timeout=60).status_code == 200


def test_what_a_later_release_adds_keeps_it_from_nothing(cluster: Cluster, admin: Admin, alice: Person) -> None:
    ((head,),) = admin.execute("SELECT version_num FROM app.alembic_version")
    admin.execute(
        "ALTER TABLE app.tasks ADD weight integer; COMMENT ON COLUMN app.tasks.weight IS 'How heavy it is.';"
        "UPDATE app.alembic_version SET version_num = '9999'"
    )
    try:
        with serving(production(cluster)) as url:
            assert_served(url, alice)
    finally:
        admin.execute("ALTER TABLE app.tasks DROP weight; UPDATE app.alembic_version SET version_num = %s", head)


def test_a_function_of_a_later_release_lets_it_serve_on_and_not_start(cluster: Cluster, admin: Admin, alice: Person) -> None:
    ((before,),) = admin.execute("SELECT pg_get_functiondef('app.enter_session'::regproc)")
    with gunicorn(production(cluster)) as (url, process):
        (worker,) = psutil.Process(process.pid).children()
        admin.execute(rewritten("app.enter_session", "BEGIN", "BEGIN -- As of the next release."))
        try:
            assert_served(url, alice)
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: not worker.is_running())
            assert_served(url, alice)
            # It cannot tell a function that it does not know from one that was tampered with.
            with pytest.raises(NotIsolatedError, match=r"L70 app\.enter_session\("):
                insist({"taskapp_api": cluster.url("taskapp_api")}, 60)
        finally:
            admin.execute(before)


@pytest.mark.parametrize(
    ("added", "taken_back", "rule"),
    [
        (
            "CREATE POLICY later ON app.tasks FOR SELECT TO taskapp_dba USING (false)",
            "DROP POLICY later ON app.tasks",
            "L12",
        ),
        (
            "CREATE FUNCTION app.later() RETURNS int LANGUAGE sql RETURN 1;"
            "ALTER FUNCTION app.later OWNER TO taskapp_owner; GRANT EXECUTE ON FUNCTION app.later TO taskapp_operator",
            "DROP FUNCTION app.later",
            "L72",
        ),
    ],
    ids=["a policy", "a right"],
)
def test_nor_does_a_policy_or_a_right_of_a_later_release_let_it_start(
    cluster: Cluster, admin: Admin, added: str, taken_back: str, rule: str
) -> None:
    admin.execute(added)
    try:
        with pytest.raises(NotIsolatedError, match=f"{rule} .*later"):
            insist({"taskapp_api": cluster.url("taskapp_api")}, 60)
    finally:
        admin.execute(taken_back)
