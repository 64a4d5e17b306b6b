"""`flask isolation`: look at one user's rows with a trail, and prove that nobody else can.

A plugin of flask's (setup.cfg): who works with the database has its URL, and none of the application's secrets.
"""

from flask.cli import AppGroup

isolation = AppGroup("isolation", help="Read one user's rows with a trail, and prove that nobody else can.")
