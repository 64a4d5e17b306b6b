"""One of the servers that people have: a version of PostgreSQL, the way to it, its collation, its clock, its administrator.

The suite runs on one of them at a time. TASKAPP_TEST_POSTGRES, _ROAD, _LOCALE, _TIMEZONE and _ADMIN say on which, and
tests/postgres_matrix.py names those that are tried.
"""

import os
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Self

import psycopg2

from taskapp.dev.embedded_postgres import EmbeddedServer

_PREFIX = "TASKAPP_TEST_"


@dataclass(frozen=True)
class Cell:
    """Of what is not said, the server that `make run` brings.

    :param road: how the application gets there: `socket`; `tls` to a server that takes nothing else over TCP; `pgbouncer` in
        transaction mode; `pgbouncer-tls` to one that takes nothing but TLS, as Neon's does.
    :param locale: of the database, by the C library; none for the server's own.
    :param timezone: what the server gives to sessions that ask for none.
    :param admin: `superuser`, or `ordinary` for one that may create roles and owns the database, as on Neon.
    """

    postgres: int = 18
    road: str = "socket"
    locale: str = ""
    timezone: str = "UTC"
    admin: str = "superuser"

    @classmethod
    def from_environment(cls) -> Self:
        given = {name: os.environ.get(_PREFIX + name.upper(), default) for name, default in asdict(cls()).items()}
        return cls(**{**given, "postgres": int(given["postgres"])})

    def environment(self) -> dict[str, str]:
        return {_PREFIX + name.upper(): str(value) for name, value in asdict(self).items()}

    def make_database(self, server: EmbeddedServer, name: str) -> str:
        """Make an empty database on a new server; return its administrator's URL."""
        as_superuser = server.admin_url.replace("/postgres?", f"/{name}?")
        with closing(psycopg2.connect(server.admin_url)) as conn, conn.cursor() as cur:
            conn.autocommit = True
            locale = f"LOCALE_PROVIDER libc LOCALE '{self.locale}'" if self.locale else ""
            cur.execute(f"CREATE DATABASE {name} TEMPLATE template0 {locale}")
            cur.execute(f"ALTER DATABASE {name} SET timezone = '{self.timezone}'")
            if self.admin == "superuser":
                return as_superuser
            cur.execute("CREATE ROLE admin LOGIN CREATEROLE PASSWORD 'secret'")
            cur.execute(f"ALTER DATABASE {name} OWNER TO admin")
            return server.url("admin", "secret", name)
