"""Render docs/configuration.md from the table of settings."""

from collections.abc import Iterable

from taskapp.config.setting import Setting
from taskapp.config.settings import OF_COMMANDS, settings

_HEAD = """\
# Configuration

Written by `make configuration` from `taskapp/config/settings.py`; a test holds the two together.

Settings are environment variables, read once, when a process starts. Each may stand in a file instead, whose path is in
`<variable>_FILE`: so container platforms hand over secrets, and the file counts where both are set. A missing, malformed,
misspelt or unsafe value stops the start of gunicorn, of `flask` and of `make run`, with one line that names every variable
that is wrong. A name that begins with `TASKAPP_` and resembles no setting is let be.

```
.venv/bin/flask config show     # what is in effect, secrets masked, and where each value comes from; --json for programs
```

`flask database init` makes all that has to be set ([README](../README.md#point-it-at-neon)), and `flask database rotate-key`
replaces the keys.
"""

_URLS = """
## URLs of PostgreSQL

    postgresql://role:password@host[:port][,host[:port]…]/database[?parameter=value&…]

The parameters are [libpq's](https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS). Every URL, of a
setting or of a command's option, is read in the same way. Whatever is special in a URL (`@ : / ? # %`, a space) is
percent-encoded in a password: `%` as `%25`, `@` as `%40`. What cannot be read is refused without being quoted.

Several hosts are tried in their order. With `target_session_attrs=read-write` the first that accepts writes is taken, so
after a failover new connections find the new primary by themselves:

    postgresql://taskapp_api:…@a.example.com,b.example.com/taskapp?sslmode=verify-full&target_session_attrs=read-write

`options` and `replication` are refused. Variables of libpq's own stand in where a URL leaves something out, within limits:

| variable | what it does here |
|---|---|
| `PGCLIENTENCODING`, `PGOPTIONS` | nothing: the encoding is UTF-8, and there are no options |
| `PGHOSTADDR`, `PGPORT` | nothing where the URL names a host, whose port is 5432 by default |
| `PGTZ`, `PGDATESTYLE`, `PGGEQO` | nothing to requests: each sets what it relies on for its own transaction |
| `PGAPPNAME`, `PGCONNECT_TIMEOUT` | nothing to requests, which have their own |
| `PGHOST`, `PGUSER`, `PGDATABASE` | completes a URL without one |
| `PGPASSWORD`, `PGPASSFILE` | gives the password where the URL has none |
| `PGSERVICE`, `PGSERVICEFILE` | completes the URL, before the others do |
| `PGSSL…`, `PGCHANNELBINDING`, `PGREQUIREAUTH`, `PGGSS…` | protects the connection, unless the URL says how |
| `PGTARGETSESSIONATTRS`, `PGLOADBALANCEHOSTS` | chooses among several hosts, unless the URL says so |
"""

_PRODUCTION = """
## What production refuses

Where `TASKAPP_ENVIRONMENT` is `production`, which it is unless something else is said:

- a key that `make run` made, one that was published as an example, and one whose digits nobody drew at random;
- a URL of PostgreSQL without `sslmode=require` or better (`verify-ca`, `verify-full`), unless the host is this one, or a
  name without a dot, as in a network of containers. By itself libpq goes on in the clear with a server that offers no
  encryption, or with somebody who says so in its place;
- a database in which isolation does not hold: gunicorn asks the [doctor](isolation.md) first.
"""


def page() -> str:
    """Write the page."""
    all_settings = settings()
    needed = [found for found in all_settings if found.required]
    others = [found for found in all_settings if not found.required]
    commands = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in OF_COMMANDS.items())
    return "".join(
        [
            _HEAD,
            "\n## What has to be set\n\n",
            _table(needed),
            "\n## What may be set\n\n",
            _table(others),
            _URLS,
            _PRODUCTION,
            "\n## Of commands\n\nThese are read by commands for people, and not by the application.\n\n",
            f"| variable | what it is |\n|---|---|\n{commands}",
        ]
    )


def _table(rows: Iterable[Setting]) -> str:
    rows = list(rows)
    with_default = any(not found.required for found in rows)
    head = f"| variable | what it may be |{' default |' if with_default else ''} what it means |\n"
    lines = [head, "|---" * (head.count("|") - 1), "|\n"]
    for found in rows:
        default = f" {_default(found)} |" if with_default else ""
        secret = " **Secret.**" if found.secret else ""
        lines.append(f"| `{found.variable}` | {found.kind.words} |{default} {found.meaning}{secret} |\n")
    return "".join(lines)


def _default(found: Setting) -> str:
    return f"`{found.default}`" if found.default not in (None, []) else "none"
