"""Let three people have tasks to play with, and print how."""

import secrets
import sys
import tomllib
from pathlib import Path

from demo import DemoError
from demo.api import Api
from demo.loading import PASSWORD, Described, id_of, load, token_of
from demo.server import LOGIN, find, make_login
from demo.terminal import FILE, read, write
from taskapp.config.postgresql_url import read_url

PEOPLE: list[Described] = tomllib.loads(Path(__file__).with_name("people.toml").read_text())["people"]

_PAGE = """
  Ada, Grace and Linus have tasks around today; lists and tasks made just now: {made}.
  The password of each is "{password}". The address, and a token of each:

{variables}

  In another terminal, in this folder, take these along, and the way to psql:

    . .taskapp/demo

  Over HTTP, as each of them; at last as Linus, for whom a task of Ada's is not there:

    curl -s "$API/v1/tasks?due=overdue" -H "Authorization: Bearer $ADA"
    curl -s "$API/v1/tasks?q=speakers" -H "Authorization: Bearer $GRACE"
    curl -s "$API/v1/completions" -H "Authorization: Bearer $LINUS"
    curl -s "$API/v1/tasks/$TASK" -H "Authorization: Bearer $LINUS"

  In psql, under row-level security, with a ticket for each. Ask :tasks or :overdue; \\q ends it:

    flask isolation as ada@example.com --reason "trying it out"
    flask isolation as grace@example.com --reason "trying it out"
    flask isolation as linus@example.com --reason "trying it out"

  After a new `make run`, say `make demo` again. It makes what is missing and leaves the rest alone.
"""


def main() -> None:
    """Make what is missing and print the page, or one line that says why not."""
    try:
        print(_play(), end="")
    except DemoError as error:
        sys.exit(f"make demo: {error}")


def _play() -> str:
    server, kept = find(), read(FILE)
    before = kept.get("TASKAPP_DBA_DATABASE_URL")
    password = (read_url(before).get("password") if before else None) or secrets.token_urlsafe(16)
    make_login(server, password)
    shown, made = {"API": f"http://127.0.0.1:{server.port}"}, 0
    for person in PEOPLE:
        name = person["display_name"].upper()
        shown[name] = token_of(server.port, person, kept.get(name))
        made += load(Api(server.port, shown[name]), person)
    ada = PEOPLE[0]
    task = id_of(ada, ada["tasks"][0]["title"])
    # Where the server is, so that docs/dba.md can name a person by postgresql://ann@/taskapp.
    database = {"TASKAPP_DBA_DATABASE_URL": server.url(LOGIN, password), **server.place}
    write({**shown, "TASK": task}, database)
    variables = "\n".join(f"    {name}={value}" for name, value in shown.items())
    return _PAGE.format(made=made, password=PASSWORD, variables=variables)


if __name__ == "__main__":
    main()
