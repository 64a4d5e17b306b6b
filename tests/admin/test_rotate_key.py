"""`flask database rotate-key`: what it prints, what the database believes after it, and when it refuses."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg2
import pytest

from admin.conftest import Completed, Neon, printed_environment, refusal, succeed
from taskapp.database.signature import SealKey, proven_subject
from taskapp.operations.database.provision import new_key_id
from taskapp.operations.generate_private_key import new_private_key

CHANGED = {"TASKAPP_SEAL_KEY", "TASKAPP_JWT_PRIVATE_KEY"}
CLAIM = (
    "SELECT set_config('app.user_id', %(user)s, true), set_config('app.purpose', 'proven', true),"
    " set_config('app.user_seal', %(seal)s, true); "
)


@pytest.fixture(autouse=True)
def _one_key(neon: Neon, environment: dict[str, str]) -> Iterator[None]:
    """Let every test begin, and what comes after go on, with the key of the environment alone."""
    yield
    key_id = environment["TASKAPP_SEAL_KEY"].partition(":")[0]
    neon.execute("DELETE FROM app_private.keys WHERE key_id <> %s", key_id)
    neon.execute("UPDATE app_private.keys SET not_after = 'infinity'")


@pytest.fixture
def rotated(environment: dict[str, str]) -> Completed:
    return succeed("database", "rotate-key", **environment)


def believes(neon: Neon, environment: dict[str, str]) -> bool:
    """Say whether a seal made with the environment's key makes its claim count."""
    key, user = SealKey.parse(environment["TASKAPP_SEAL_KEY"]), str(uuid4())
    with closing(psycopg2.connect(environment["TASKAPP_DATABASE_URL"])) as conn, conn.cursor() as cur:
        seal = key.seal(proven_subject("taskapp_api", user), datetime.now(UTC).timestamp())
        cur.execute(CLAIM + "SELECT app.current_user_id() = %(user)s", {"user": user, "seal": seal})
        return cur.fetchall() == [(True,)]


def end_of(neon: Neon, environment: dict[str, str]) -> datetime | None:
    """Say when the environment's seal key ends; None for never."""
    ((end,),) = neon.execute(
        "SELECT CASE WHEN isfinite(not_after) THEN not_after END FROM app_private.keys WHERE key_id = %s",
        environment["TASKAPP_SEAL_KEY"].partition(":")[0],
    )
    assert end is None or isinstance(end, datetime)
    return end


def now(neon: Neon) -> datetime:
    ((moment,),) = neon.execute("SELECT now()")
    assert isinstance(moment, datetime)
    return moment


def test_it_prints_the_environment_with_two_new_keys(environment: dict[str, str], rotated: Completed) -> None:
    printed = printed_environment(rotated.stdout)
    assert set(printed) == set(environment)
    assert {name for name in environment if printed[name] != environment[name]} == CHANGED


def test_the_old_key_of_access_tokens_stays_before_the_new_one(environment: dict[str, str], rotated: Completed) -> None:
    value = printed_environment(rotated.stdout)["TASKAPP_JWT_PRIVATE_KEY"]
    assert value.startswith(environment["TASKAPP_JWT_PRIVATE_KEY"].strip())
    assert value.count("-----BEGIN PRIVATE KEY-----") == 2


def test_both_seal_keys_are_believed(neon: Neon, environment: dict[str, str], rotated: Completed) -> None:
    assert believes(neon, environment)
    assert believes(neon, printed_environment(rotated.stdout))


def test_the_old_seal_key_ends_by_itself_and_the_new_one_does_not(
    neon: Neon, environment: dict[str, str], rotated: Completed
) -> None:
    end = end_of(neon, environment)
    assert end is not None
    assert timedelta(hours=23, minutes=55) < end - now(neon) <= timedelta(hours=24)
    assert end_of(neon, printed_environment(rotated.stdout)) is None


def test_at_its_end_the_old_seal_key_counts_for_nothing(neon: Neon, environment: dict[str, str], rotated: Completed) -> None:
    neon.execute("UPDATE app_private.keys SET not_after = now() WHERE isfinite(not_after)")
    assert not believes(neon, environment)
    assert believes(neon, printed_environment(rotated.stdout))


def test_the_key_of_access_tokens_switches_when_the_old_seal_key_ends(
    neon: Neon, environment: dict[str, str], rotated: Completed
) -> None:
    end = end_of(neon, environment)
    assert end is not None
    line = f"the last key signs from {end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    assert line in printed_environment(rotated.stdout)["TASKAPP_JWT_PRIVATE_KEY"].splitlines()


def test_it_says_by_when_to_restart_and_prints_no_secret_beside(
    neon: Neon, environment: dict[str, str], rotated: Completed
) -> None:
    end = end_of(neon, environment)
    assert end is not None
    assert f"before {end.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" in rotated.stderr
    key = printed_environment(rotated.stdout)["TASKAPP_SEAL_KEY"].partition(":")[2]
    assert key not in rotated.stderr


def test_the_overlap_is_what_one_says(neon: Neon, environment: dict[str, str]) -> None:
    succeed("database", "rotate-key", "--overlap", "10", **environment)
    end = end_of(neon, environment)
    assert end is not None
    assert end - now(neon) <= timedelta(minutes=10)


def test_whose_new_environment_was_lost_does_it_again_with_all_of_the_time(neon: Neon, environment: dict[str, str]) -> None:
    succeed("database", "rotate-key", "--overlap", "1", **environment)
    second = printed_environment(succeed("database", "rotate-key", "--overlap", "60", **environment).stdout)
    end = end_of(neon, environment)
    assert end is not None
    assert end - now(neon) > timedelta(minutes=50)
    assert believes(neon, second)
    # The one that nobody has keeps its shorter time.
    assert neon.execute("SELECT count(*) FROM app_private.keys WHERE not_after < now() + interval '50 min'") == [(0,)]


def test_keys_made_within_a_second_have_different_names() -> None:
    assert len({new_key_id() for _ in range(20)}) == 20


def test_while_one_is_under_way_the_next_waits(rotated: Completed) -> None:
    said = refusal("database", "rotate-key", **printed_environment(rotated.stdout))
    assert said.startswith("Error: a rotation is under way; the next one can begin in ")


def test_one_can_follow_another(neon: Neon, rotated: Completed) -> None:
    over = printed_environment(rotated.stdout)
    keys = over["TASKAPP_JWT_PRIVATE_KEY"]
    day_before = f"{now(neon) - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    line = next(line for line in keys.splitlines() if line.startswith("the last key signs from"))
    over["TASKAPP_JWT_PRIVATE_KEY"] = keys.replace(line, f"the last key signs from {day_before}")
    second = printed_environment(succeed("database", "rotate-key", **over).stdout)["TASKAPP_JWT_PRIVATE_KEY"]
    first_key, second_key = keys.split(line)
    assert second_key.strip() in second
    assert first_key.strip() not in second


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("TASKAPP_SEAL_KEY", f"another:{secrets.token_hex(32)}", "the database does not believe the seal key another"),
        ("TASKAPP_SEAL_KEY", "", "TASKAPP_SEAL_KEY"),
        ("TASKAPP_JWT_PRIVATE_KEY", new_private_key() + new_private_key(), "finish with flask jwt-key first"),
        ("TASKAPP_ENVIRONMENT", "local", "`make run` keeps keys of its own"),
        ("TASKAPP_MIGRATION_DATABASE_URL", "postgresql://taskapp_migrator:x@127.0.0.1:9/tasks", "Connection refused"),
    ],
    ids=["another seal key", "no seal key", "two keys of access tokens", "of make run", "no server"],
)
def test_an_environment_that_will_not_do_is_refused_in_one_line(
    neon: Neon, environment: dict[str, str], name: str, value: str, complaint: str
) -> None:
    said = refusal("database", "rotate-key", **{**environment, name: value})
    assert complaint in said
    assert said.count("\n") == 1
    assert end_of(neon, environment) is None


def test_another_secret_under_the_name_of_the_key_is_refused(neon: Neon, environment: dict[str, str]) -> None:
    key_id = environment["TASKAPP_SEAL_KEY"].partition(":")[0]
    mistaken = {**environment, "TASKAPP_SEAL_KEY": f"{key_id}:{secrets.token_hex(32)}"}
    assert "does not believe" in refusal("database", "rotate-key", **mistaken)
    assert end_of(neon, environment) is None


def test_who_does_not_migrate_is_told_what_is_missing(environment: dict[str, str]) -> None:
    without = {name: value for name, value in environment.items() if name != "TASKAPP_MIGRATION_DATABASE_URL"}
    assert "TASKAPP_MIGRATION_DATABASE_URL is not set" in refusal("database", "rotate-key", **without)


@pytest.mark.parametrize("overlap", ["0", "-1", "soon"])
def test_without_an_overlap_requests_would_fail_so_it_has_to_have_one(environment: dict[str, str], overlap: str) -> None:
    assert "--overlap" in refusal("database", "rotate-key", "--overlap", overlap, **environment)
