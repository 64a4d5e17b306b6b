"""docs/configuration.md, as it follows from the table of settings."""

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
