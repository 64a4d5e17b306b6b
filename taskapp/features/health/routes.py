"""Liveness and readiness. Neither says anything about versions or hosts."""

import logging
from functools import cache

import marshmallow as ma
from alembic.script import ScriptDirectory
from flask import Response, current_app
from sqlalchemy import text

from taskapp.database import databases
from taskapp.isolation.schema_revision import DraftSchemaError, is_draft
from taskapp.web.blueprint import Blueprint
from taskapp.web.responses.json_responses import json_response
from taskapp.web.responses.problems import Problem

logger = logging.getLogger("taskapp.features.health")


class HealthSchema(ma.Schema):
    """All is well."""

    status = ma.fields.String(
        required=True, validate=ma.validate.OneOf(["ok"]), metadata={"example": "ok", "description": "The word `ok`."}
    )


blp = Blueprint("health", __name__, description="For load balancers and monitors.", public=True)


@blp.get("/healthz")
@blp.response(200, HealthSchema)
def get_health() -> Response:
    """Tell that the process answers.

    It asks nobody else, so it says nothing about the database.
    """
    return json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})


@blp.get("/readyz")
@blp.response(200, HealthSchema)
def get_readiness() -> Response:
    """Tell that the database answers, is migrated, and accepts writes.

    Send no requests to a process that answers 503 here.
    """
    rows = databases.api().execute(_READINESS)
    if rows and is_draft(rows[0].version_num):
        local = current_app.config["TASKAPP"].environment == "local"
        logger.error("not ready: %s", DraftSchemaError(rows[0].version_num, local=local))
    # Newer is fine: while a deployment goes on, the database is ahead of the processes that are still to be replaced.
    if (
        not rows
        or not rows[0].writable
        or rows[0].version_num < _needed_revision(current_app.extensions["migrate"].directory)
    ):
        raise Problem("service_unavailable")
    return json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})


# This request's own transaction is read-only, so its access mode says nothing.
_READINESS = text(
    "SELECT version_num, NOT pg_is_in_recovery() AND current_setting('default_transaction_read_only') = 'off' AS writable"
    " FROM app.alembic_version"
)


@cache
def _needed_revision(migrations: str) -> str:
    return ScriptDirectory(migrations).get_current_head() or ""
