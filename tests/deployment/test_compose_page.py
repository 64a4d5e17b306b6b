"""docs/operations/compose.md tells the truth: its commands, typed as they stand there, start the service that
docker-compose.yml describes, and keep it going. No engine runs here; `deployment.compose_emulator` does what one would."""

import os
import re
import shlex
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import httpx
import psycopg2
import pytest
from conftest import PASSWORD
from live import PROJECT, program
from walkthrough import Block, blocks, joined, pattern

from deployment.compose_emulator import Host
from deployment.image import APPLICATION

PAGE = (PROJECT / "docs" / "operations" / "compose.md").read_text()
# What only a container engine or a clone with a remote can do.
BUILDS = ("docker build --tag taskapp .", "docker compose build", "git pull")


def section(heading: str) -> list[Block]:
    return list(blocks(PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]))


def commands(text: str) -> Iterator[str]:
    """One command at a time; what `<<` begins goes on to its end."""
    return (found[0] for found in re.finditer(r"^.*<<'(\w+)'\n(?:.*\n)*?\1$|^.+$", text, re.MULTILINE))


def follow(host: Host, heading: str) -> str:
    """Type what stands under a heading, and expect what is said to be printed; return all that was."""
    everything, printed = "", ""
    assert section(heading)
    for block in section(heading):
        if block.language == "sh":
            printed = "".join(typed(host, command) for command in commands(block.text))
            everything += printed
        else:
            assert re.fullmatch(pattern(block.text), joined(printed)), printed
    return everything


def typed(host: Host, command: str) -> str:
    """Type one command, and expect it to succeed; return what is printed."""
    if command in BUILDS:
        return ""
    if command == "docker compose up --detach":
        host.up()
        host.wait_until_healthy("api")
        return ""
    if "docker run --rm taskapp " in command:
        command = command.replace("docker run --rm taskapp", str(host.script("taskapp")))
    elif found := re.match(r"docker compose (?:run --rm(?: --no-deps)?(?: -T)?|exec(?: -T)?) (\w+)( .+)?$", command):
        words = found[2] or shlex.join(host.services()[found[1]]["command"])
        command = f"{host.script(found[1])} {words}"
    assert "docker" not in command, f"no test knows how to follow this: {command}"
    command = command.replace("http://127.0.0.1:8000", host.url)
    completed = subprocess.run(
        ["sh", "-eu", "-c", command], cwd=host.clone, check=False, capture_output=True, text=True, timeout=120
    )
    assert completed.returncode == 0, f"{command}: {completed.stderr}"
    return completed.stdout


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A machine on which the page was followed from its beginning."""
    program("curl")
    with Host() as made:
        follow(made, "Start it")
        yield made


@pytest.fixture(scope="module")
def ada(host: Host) -> Iterator[httpx.Client]:
    """Somebody who registered there. Of one address there may be five in an hour."""
    with registered(host, "ada") as client:
        yield client


@contextmanager
def registered(host: Host, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=host.url, trust_env=False, timeout=30) as client:
        answer = client.post("/v1/auth/register", json={"email": f"{name}@example.com", "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['tokens']['access_token']}"
        yield client


def make_task(client: httpx.Client) -> str:
    answer = client.post("/v1/tasks", json={"title": "Pay rent"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_no_secret_is_printed_on_the_way_and_nothing_fails(host: Host) -> None:
    printed = {name: host.log(name) for name in ("pgbouncer", "init", "migrate", "api")}
    assert "roles …" in printed["init"]
    secrets = re.findall(r"^\w+='?([^'\n]{20,})'?$", (host.clone / ".env").read_text(), re.MULTILINE)
    assert len(secrets) >= 8
    assert [secret for secret in secrets if secret in "".join(printed.values())] == []
    assert '"level":"error"' not in printed["api"]


def test_everything_that_stays_is_healthy_by_its_own_check_and_not_when_it_is_gone(host: Host) -> None:
    for name in ("postgres", "pgbouncer", "api"):
        host.wait_until_healthy(name)
    host.stop("pgbouncer")
    try:
        assert (host.is_healthy("pgbouncer"), host.is_healthy("api")) == (False, False)
    finally:
        host.start("pgbouncer")
    host.wait_until_healthy("api")


def test_somebody_registers_makes_a_task_and_lists_it_and_somebody_else_does_not_see_it(
    host: Host, ada: httpx.Client
) -> None:
    task = make_task(ada)
    assert [item["id"] for item in ada.get("/v1/tasks").json()["items"]] == [task]
    with registered(host, "bob") as bob:
        assert bob.get(f"/v1/tasks/{task}").status_code == 404
        assert bob.get("/v1/tasks").json()["items"] == []
    assert httpx.get(f"{host.url}/v1/tasks/{task}", trust_env=False).status_code == 401


def test_the_pooler_serves_more_clients_than_it_has_connections(host: Host) -> None:
    (size,) = re.findall(r"^default_pool_size = (\d+)$", (PROJECT / "deploy/pgbouncer/pgbouncer.ini").read_text(), re.M)
    url = host.services()["api"]["environment"]["TASKAPP_DATABASE_URL"]
    with ExitStack() as stack:
        for _ in range(int(size) + 1):
            conn = stack.enter_context(
                closing(psycopg2.connect(url, host="127.0.0.1", port=host.places.ports["pgbouncer"], connect_timeout=30))
            )
            with conn, conn.cursor() as cur:
                cur.execute("SELECT 1")


def test_secrets_are_for_their_owner_and_are_not_made_twice(host: Host) -> None:
    file = host.clone / ".env"
    before = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (again,) = [command for command in commands(section("Start it")[0].text) if "new-secrets" in command]
    with pytest.raises(AssertionError, match=r"(?i)file exists|cannot create"):
        typed(host, again)
    assert file.read_text() == before


def test_the_api_is_an_ordinary_process_that_can_write_nothing_of_its_own(host: Host) -> None:
    seen = host.run("api", ["sh", "-c", "id -u; cat /proc/self/status; touch taskapp/written"])
    uid, *status = seen.stdout.splitlines()
    assert int(uid) == (APPLICATION.user if os.geteuid() == 0 else os.geteuid()) > 0
    assert {"NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"} <= set(status)
    assert (seen.returncode, "Permission denied" in seen.stderr) == (1, True)


def test_what_is_to_be_done_to_look_after_it_prints_what_the_page_says(host: Host) -> None:
    assert "Nothing is to be done." in follow(host, "Look after it")


def test_it_recovers_when_the_database_comes_back(host: Host, ada: httpx.Client) -> None:
    task = make_task(ada)
    host.stop("postgres")
    assert not host.is_healthy("postgres")
    host.start("postgres")
    host.wait_until_healthy("api")
    assert ada.get(f"/v1/tasks/{task}").status_code == 200


def test_what_was_backed_up_comes_back(host: Host, ada: httpx.Client) -> None:
    task = make_task(ada)
    follow(host, "Back it up")
    late = make_task(ada)
    for name in ("api", "pgbouncer"):
        host.stop(name)
    # What a new server has: an empty database.
    again = ["DROP DATABASE taskapp", "CREATE DATABASE taskapp TEMPLATE template0"]
    gone = host.run("postgres", ["psql", "-X", "postgres", *(f"--command={statement}" for statement in again)])
    assert gone.returncode == 0, gone.stderr
    assert "as many rows as there were" in follow(host, "Restore it")
    assert [ada.get(f"/v1/tasks/{found}").status_code for found in (task, late)] == [200, 404]


def test_settings_redis_a_password_keys_and_a_new_version_count_after_going_up_and_nobody_is_logged_out(
    host: Host, ada: httpx.Client
) -> None:
    task = make_task(ada)
    before = host.services()["api"]["environment"]
    with (host.clone / ".env").open("a") as file:
        file.write("TASKAPP_API_PASSWORD=another-one-of-some-length\n")
    # All of it at once: each time it goes up takes seconds.
    for heading in ("Replace keys and passwords", "Put a proxy in front", "Other settings"):
        change, up = [command for block in section(heading) if block.language == "sh" for command in commands(block.text)]
        assert up == "docker compose up --detach"
        typed(host, change)
    follow(host, "Bring a new version")
    assert set(host.started) == {"pgbouncer", "init", "migrate", "api", "redis"}
    after = host.services()["api"]["environment"]
    assert {name for name in after if before.get(name) != after[name]} == {
        *("TASKAPP_DATABASE_URL", "TASKAPP_SEAL_KEY", "TASKAPP_JWT_PRIVATE_KEY"),
        *("TASKAPP_TRUSTED_PROXIES", "TASKAPP_RATE_LIMIT_STORAGE"),
    }
    assert ada.get(f"/v1/tasks/{task}").status_code == 200
    host.wait_until_healthy("redis")
    counted = host.run("redis", ["redis-cli", "-h", "127.0.0.1", "-p", str(host.places.ports["redis"]), "dbsize"])
    assert int(counted.stdout) > 0, counted


def test_every_command_of_the_page_is_typed() -> None:
    followed = {"Back it up", "Restore it", "Start it", "Put a proxy in front", "Other settings", "Look after it"}
    followed |= {"Replace keys and passwords", "Bring a new version"}
    assert {heading for heading in re.findall(r"^## (.+)$", PAGE, re.MULTILINE) if section(heading)} == followed
