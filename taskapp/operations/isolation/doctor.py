"""`flask isolation doctor`: check the isolation of a live database; any login may run it."""

import json
import shutil
import textwrap
import time
from dataclasses import asdict
from itertools import groupby

import click
from psycopg2.extensions import connection

from taskapp.config import Config, ConfigError
from taskapp.isolation.doctor.catalogue.acknowledgements import PLATFORMS, AcknowledgementsError, acknowledged
from taskapp.isolation.doctor.catalogue.comparison import AREAS, DRIFT, RIGHTS
from taskapp.isolation.doctor.cross_user_probe import try_it
from taskapp.isolation.doctor.dba_login_probe import visit
from taskapp.isolation.doctor.model import Finding, Trial
from taskapp.isolation.doctor.run import RULES, examine
from taskapp.isolation.schema_revision import DraftSchemaError, refuse_draft, revision_of
from taskapp.operations.isolation.dba_connection import clear, logged_in


@click.command("doctor")
@click.option(
    "--url",
    required=True,
    envvar=["TASKAPP_MIGRATION_DATABASE_URL", "TASKAPP_DBA_DATABASE_URL"],
    help="As taskapp_migrator, or as a person; also from TASKAPP_MIGRATION_DATABASE_URL, TASKAPP_DBA_DATABASE_URL.",
)
@click.option(
    "--acknowledge",
    "file",
    envvar=["TASKAPP_ACKNOWLEDGED"],
    help="File with differences that are there on purpose, one a line; also from TASKAPP_ACKNOWLEDGED.",
)
@click.option(
    "--platform",
    type=click.Choice(["none", *PLATFORMS]),
    default="none",
    envvar=["TASKAPP_PLATFORM"],
    help="Accept what this provider adds to every database; also from TASKAPP_PLATFORM.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option(
    "--rules",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, _, asked: _list_rules(context) if asked else None,
    help="List what has to hold, and of each whether it stops a start in production, and why. Asks no database.",
)
@clear
def doctor(url: str, file: str | None, platform: str, as_json: bool) -> None:
    """Prove that isolation holds on this database. Changes nothing.

    Holds the rules against its catalogue, and compares that with the one that the migrations make. As taskapp_migrator, lets
    two throw-away users try to reach each other's rows, in a transaction that is rolled back; as a person, tries what that
    login reaches without a ticket. Exit status 1 when something is found; a warning or an acknowledged difference is not.
    """
    try:
        lines = acknowledged(file, None if platform == "none" else platform)
    except AcknowledgementsError as error:
        raise click.ClickException(str(error)) from error
    began = time.monotonic()
    with logged_in(url) as conn:
        _refuse_draft(conn)
        with conn, conn.cursor() as cur:
            findings = examine(cur, lines)
        tried, trial = _try(conn)
        findings += trial.findings
        version, login = conn.info.parameter_status("server_version"), conn.info.user
    seconds = time.monotonic() - began
    on_purpose = [finding for finding in findings if finding.acknowledged is not None]
    findings = [finding for finding in findings if finding.acknowledged is None]
    broken = [finding for finding in findings if not finding.warns]
    if as_json:
        report = {
            "server_version": version, "login": login, "rules": len(RULES), "attempts": trial.attempts, "tried": tried,
            "holds": not broken, "findings": [_document(finding) for finding in findings],
            "acknowledged": [_document(finding) | {"acknowledged": finding.acknowledged} for finding in on_purpose],
        }  # fmt: skip
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        click.echo(f"PostgreSQL {version}, as {login}: {len(RULES)} rules, {tried}; {seconds:.1f} s")
        _table(sorted(findings, key=lambda finding: (finding.rule, finding.warns, finding.why)))
        for finding in on_purpose:
            click.echo(f"on purpose  {finding.object}  ({finding.acknowledged})")
        click.echo(_verdict(len(broken), len(findings) - len(broken)))
    if broken:
        raise SystemExit(1)


def _refuse_draft(conn: connection) -> None:
    """Return unless the schema is a draft, in which every object would be a finding.

    :raises click.ClickException: if it is one.
    """
    try:
        local = Config.from_environment().environment == "local"
    except ConfigError:
        # Whoever has only a login of their own has no configuration.
        local = False
    try:
        refuse_draft(revision_of(conn), local=local)
    except DraftSchemaError as error:
        raise click.ClickException(str(error)) from error


def _list_rules(context: click.Context) -> None:
    """Print each rule, what it does to a start when it is broken, and why; then what is no finding of the comparison."""
    for rule in sorted(RULES, key=lambda rule: rule.number):
        click.echo(f"{rule.number}  {rule.severity}  {rule.statement}\n{'':12}{rule.only_warns or rule.why}")
    for area in sorted((*AREAS, RIGHTS), key=lambda area: area.number):
        click.echo(f"{area.number}  stops  {area.statement}\n{'':12}{area.why}")
    click.echo("\nOf differences from the catalogue of the migrations (S…) these only warn:\n")
    for entry in DRIFT:
        what = " ".join(part for part in (entry.kinds, entry.aspect, f"({entry.hows})") if part)
        click.echo(f"  {what}\n{'':12}{entry.why}")
    context.exit()


def _try(conn: connection) -> tuple[str, Trial]:
    """Try what this login can: return what that was, in words, and what came of it."""
    with conn, conn.cursor() as cur:
        cur.execute(
            "SELECT count(*) FROM pg_roles WHERE rolname IN ('taskapp_definer', 'taskapp_api', 'taskapp_auth')"
            " AND pg_has_role(oid, 'MEMBER')"
        )
        becomes_all_three = cur.fetchone() == (3,)
    trial = try_it(conn) if becomes_all_three else visit(conn)
    who = "by two throw-away users" if becomes_all_three else "by this login, without a ticket"
    return f"{trial.attempts} attempts {who}", trial


def _document(finding: Finding) -> dict[str, object]:
    return {name: value for name, value in asdict(finding).items() if name != "acknowledged"}


def _table(findings: list[Finding]) -> None:
    """Print each rule that is broken, by what, why that matters and how to mend it."""
    width = min(max(shutil.get_terminal_size().columns, 60), 120) - 1
    for (number, _, _), found in groupby(findings, key=lambda finding: (finding.rule, finding.warns, finding.why)):
        first, *others = found
        # A rule says what should be. BROKEN denies it; beside WARNING alone it would read as what is.
        word, denied = ("WARNING", "not met: ") if first.warns else ("BROKEN", "")
        click.echo(f"\n{word:7}  {number}  {denied}{first.statement}")
        for finding in (first, *others):
            click.echo(f"{'':14}{finding.object}")
        for word, text in (("why", first.why), ("mend", first.mend)):
            click.echo(textwrap.fill(text, width, initial_indent=f"{'':9}{word:5}", subsequent_indent=" " * 14))
    if findings:
        click.echo()


def _verdict(broken: int, warnings: int) -> str:
    warned = f", with {warnings} warning{'s' * (warnings != 1)}" if warnings else ""
    return f"Isolation does NOT hold: {broken} found{warned}." if broken else f"Isolation holds{warned}."
