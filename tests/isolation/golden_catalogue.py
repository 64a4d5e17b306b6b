"""Write taskapp/isolation/doctor/catalogue/catalogue.txt, which says what the migrations make: `make catalogue`.

For each version of PostgreSQL a fresh database is migrated, then dumped and restored, and its catalogue is read.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import psycopg2
from conftest import Cluster, client_programs, started
from postgres_target import Cell

from taskapp.dev import embedded_postgres
from taskapp.isolation.doctor.catalogue import golden_catalogue
from taskapp.isolation.doctor.catalogue.golden_catalogue import VERSIONS, render
from taskapp.isolation.doctor.catalogue.live_catalogue import Facts, read
from taskapp.isolation.doctor.run import search_names_in_the_catalogue
from taskapp.operations.database.provision import provision

FILE = Path(golden_catalogue.__file__).with_name("catalogue.txt")


def facts(url: str) -> Facts:
    """Read the catalogue of a database as any login does."""
    with closing(psycopg2.connect(url)) as conn, conn.cursor() as cur:
        search_names_in_the_catalogue(cur)
        return read(cur)


def restore(source: Cluster, source_url: str, target: Cluster, name: str) -> str:
    """Dump a database, restore it under another name, maybe on another server, and return the URL of a superuser.

    As docs/operations/backup.md has it: the roles are made first, then the dump is read. The owner is the same.
    """
    with closing(psycopg2.connect(target.admin_url)) as conn:
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute("SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()")
            ((owner,),) = cur.fetchall()
            cur.execute(f"CREATE DATABASE {name} OWNER {owner} TEMPLATE template0")
    url = target.server.admin_url.replace("/postgres?", f"/{name}?")
    environment = {key: value.replace("/taskapp", f"/{name}") for key, value in target.environment.items()}
    with patch.dict(os.environ):
        provision(url, target.passwords, environment, say=lambda _: None, roles_only=True)
    dump = [str(client_programs(source.server._version) / "pg_dump"), source_url]
    dumped = subprocess.run(dump, capture_output=True, text=True, check=True, timeout=60).stdout
    # A newer pg_dump makes settings that an older server does not have.
    restore = [str(embedded_postgres.programs() / "psql"), "--quiet", "--no-psqlrc", url]
    told = subprocess.run(restore, input=dumped, capture_output=True, text=True, check=True, timeout=60).stderr
    wrong = [line for line in told.splitlines() if "ERROR" in line and "unrecognized configuration parameter" not in line]
    if wrong:
        raise RuntimeError(f"the dump cannot be restored: {wrong[0]}")
    return url


def catalogues(version: int) -> tuple[Facts, Facts]:
    """Read the catalogues of a fresh and of a restored database of one version."""
    with tempfile.TemporaryDirectory() as folder, started(Path(folder), Cell(postgres=version)) as cluster:
        return facts(cluster.admin_url), facts(restore(cluster, cluster.admin_url, cluster, "restored"))


def main() -> None:
    read_from = {version: catalogues(version) for version in VERSIONS}
    fresh = {version: made for version, (made, _) in read_from.items()}
    written = render(fresh, {version: restored for version, (_, restored) in read_from.items()})
    FILE.write_text(written, encoding="utf-8")
    sys.stderr.write(f"{FILE}: {written.count(chr(10))} lines\n")


if __name__ == "__main__":
    main()
