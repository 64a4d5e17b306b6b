"""A task API in which PostgreSQL itself decides whose rows exist."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from flask import Flask, g
from flask_migrate import Config as AlembicConfig
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from taskapp.config import Config
from taskapp.database import databases
from taskapp.database.models import Base
from taskapp.features.account.routes import blp as account
from taskapp.features.auth import passwords
from taskapp.features.auth.routes import blp as sessions
from taskapp.features.auth.routes import public as auth
from taskapp.features.completions.routes import blp as completions
from taskapp.features.health.routes import blp as health
from taskapp.features.keys.routes import blp as keys
from taskapp.features.lists.routes import blp as lists
from taskapp.features.pages.routes import blp as docs
from taskapp.features.tags.routes import blp as tags
from taskapp.features.tasks.routes import blp as tasks
from taskapp.features.tokens.routes import blp as tokens
from taskapp.features.trash.routes import blp as trash
from taskapp.features.users.routes import blp as users
from taskapp.serving import json_log, recorders
from taskapp.web import cors, request_context
from taskapp.web.authentication import access_token, authenticate
from taskapp.web.openapi import spec
from taskapp.web.proxy import path_prefix
from taskapp.web.rate_limit import rate_limits
from taskapp.web.requests import request_target
from taskapp.web.responses import problems, response_headers

MIGRATIONS = Path(__file__).parent.parent / "migrations"
# The documentation shows them in this order.
FEATURES = (auth, sessions, tokens, users, account, tasks, completions, trash, lists, tags, keys, health)


class Migrations(Migrate):  # type: ignore[misc]
    """Flask-Migrate for a clone in any folder: its own configuration fails where the path has a percent sign."""

    def get_config(
        self, directory: str | None = None, x_arg: Sequence[str] | str | None = None, opts: Sequence[str] | None = None
    ) -> AlembicConfig:
        """Return alembic's configuration, with the folder of migrations escaped for interpolation."""
        folder = str(directory or self.directory)
        given = [x_arg] if isinstance(x_arg, str) else x_arg or []
        options = Namespace(**dict.fromkeys(opts or [], True), x=[*g.get("x_arg", ()), *given])
        config = AlembicConfig(str(Path(folder, "alembic.ini")), cmd_opts=options)
        config.set_main_option("script_location", folder.replace("%", "%%"))
        return self.call_configure_callbacks(config)


def create_app(config: Config | None = None) -> Flask:
    """Wire the application, in the order in which a request meets its parts."""
    app: Flask = request_target.Application(__name__, static_folder=None)
    app.config["TASKAPP"] = config = config or Config.from_environment()
    # A path with two slashes is none of ours; werkzeug would answer with a redirect in HTML.
    app.url_map.merge_slashes = False
    # One more than is allowed, so that a body cut off at this length is known to be too long; see web/requests/parser.py.
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes + 1
    # The client's address is what the last proxies we know of say it is, and nobody else.
    inner = path_prefix.PathPrefix(app.wsgi_app, config)
    app.wsgi_app = ProxyFix(inner, x_for=config.trusted_proxies, x_proto=config.trusted_proxies)  # type: ignore[method-assign]

    request_context.init_app(app)
    json_log.init_app(app)
    recorders.init_app(app, config)
    response_headers.init_app(app)
    request_target.init_app(app)
    cors.init_app(app, config)
    problems.init_app(app)
    access_token.init_app(app, config)
    rate_limits.init_app(app, config)
    authenticate.init_app(app)
    passwords.init_app(app, config)
    databases.init_app(app, config)

    api = spec.make_api(app)
    for feature in FEATURES:
        api.register_blueprint(feature)
    app.register_blueprint(docs)

    Migrations(app, Base, directory=str(MIGRATIONS))
    return app
