"""`flask isolation`: look at one user's rows with a trail, and prove that nobody else can.

A plugin of flask's (setup.cfg): who works with the database has its URL, and none of the application's secrets.
"""

from flask.cli import AppGroup

from taskapp.operations.isolation.audit import audit
from taskapp.operations.isolation.dba_logins import dba
from taskapp.operations.isolation.doctor import doctor
from taskapp.operations.isolation.explain import explain
from taskapp.operations.isolation.tickets import approve, break_glass, close, read_as

isolation = AppGroup("isolation", help="Read one user's rows with a trail, and prove that nobody else can.")
for command in (read_as, break_glass, approve, close, audit, explain, doctor, dba):
    isolation.add_command(command)
