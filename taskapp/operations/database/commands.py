"""`flask database`: what an administrator does with a whole database.

A plugin of flask's (setup.cfg) and not of the application, which cannot start before `init` has run.
"""

from flask.cli import AppGroup

from taskapp.operations.database.init import init
from taskapp.operations.database.new_secrets import new_secrets
from taskapp.operations.database.rotate_key import rotate_key
from taskapp.operations.database.status import status

database = AppGroup(
    "database", help="Make a PostgreSQL database ready (Neon or any other), replace its keys, see how it is."
)
for command in (init, new_secrets, rotate_key, status):
    database.add_command(command)
