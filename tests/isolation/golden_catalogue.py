"""Write taskapp/isolation/doctor/catalogue.txt, which says what the migrations make: `make catalogue`.

For each version of PostgreSQL a fresh database is migrated, then dumped and restored, and its catalogue is read. A version
that is not at hand is taken to be like the newest, but for what PostgreSQL itself brings, which stays as the file has it;
`--programs 17=/usr/lib/postgresql/17/bin` names the programs of one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import psycopg2
from cell import Cell
from conftest import DEBIAN, Cluster, started

from taskapp import embedded
from taskapp.isolation.doctor import golden_catalogue
from taskapp.isolation.doctor.examination import search_names_in_the_catalogue
from taskapp.isolation.doctor.golden_catalogue import VERSIONS, Golden, golden, render
from taskapp.isolation.doctor.live_catalogue import Facts, read
from taskapp.provision import provision

FILE = Path(golden_catalogue.__file__).with_name("catalogue.txt")
WHEEL = (16, 18)


def facts(url: str) -> Facts:
    """Read the catalogue of a database as any login does."""
    with closing(psycopg2.connect(url)) as conn, conn.cursor() as cur:
        search_names_in_the_catalogue(cur)
        return read(cur)


def dumped_by(version: int) -> Path:
    """Find the pg_dump of a version, or of the newest, which dumps older servers too."""
    folder = DEBIAN.get(version) or (embedded.programs(version) if version in WHEEL else None)
    return (folder if folder and (folder / "pg_dump").exists() else embedded.programs()) / "pg_dump"


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
    dump = [str(dumped_by(source.server._version)), source_url]
    dumped = subprocess.run(dump, capture_output=True, text=True, check=True, timeout=60).stdout
    # A newer pg_dump makes settings that an older server does not have.
    restore = [str(embedded.programs() / "psql"), "--quiet", "--no-psqlrc", url]
    told = subprocess.run(restore, input=dumped, capture_output=True, text=True, check=True, timeout=60).stderr
    wrong = [line for line in told.splitlines() if "ERROR" in line and "unrecognized configuration parameter" not in line]
    if wrong:
        raise RuntimeError(f"the dump cannot be restored: {wrong[0]}")
    return url


def catalogues(version: int, programs: Path | None) -> tuple[Facts, Facts]:
    """Read the catalogues of a fresh and of a restored database of one version."""
    if programs:
        DEBIAN[version] = programs
    with tempfile.TemporaryDirectory() as folder, started(Path(folder), Cell(postgres=version)) as cluster:
        return facts(cluster.admin_url), facts(restore(cluster, cluster.admin_url, cluster, "restored"))


def kept(version: int) -> Facts:
    """Read from the file what PostgreSQL itself brings in a version that is not at hand."""
    before: Golden = golden(version) if FILE.exists() else {}
    return {
        thing: {aspect: expected.required for aspect, expected in aspects.items()}
        for thing, aspects in before.items()
        if thing.kind == "built-in"
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="make catalogue ARGS=…", description=__doc__)
    parser.add_argument("--programs", action="append", default=[], metavar="VERSION=FOLDER", help="of another PostgreSQL")
    given = {
        int(number): Path(folder) for number, _, folder in (each.partition("=") for each in parser.parse_args().programs)
    }
    at_hand = [version for version in VERSIONS if version in given or version in WHEEL or version in DEBIAN]
    read_from = {version: catalogues(version, given.get(version)) for version in at_hand}
    newest = read_from[at_hand[-1]]
    for version in sorted(set(VERSIONS) - set(at_hand)):
        own = {thing: of for thing, of in newest[0].items() if thing.kind != "built-in"}
        read_from[version] = ({**own, **kept(version)}, newest[1])
        sys.stderr.write(f"PostgreSQL {version} is not at hand: taken to be like {at_hand[-1]}\n")
    versions = sorted(read_from)
    written = render({v: read_from[v][0] for v in versions}, {v: read_from[v][1] for v in versions})
    FILE.write_text(written, encoding="utf-8")
    sys.stderr.write(f"{FILE}: {written.count(chr(10))} lines\n")


if __name__ == "__main__":
    main()
