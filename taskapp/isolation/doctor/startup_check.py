"""Check isolation at startup; in production a finding stops the start."""

from collections.abc import Mapping, Sequence
from contextlib import closing

import psycopg2
from uuid_utils.compat import uuid7

from taskapp.database.connect import connect
from taskapp.database.signature import SealKey, session_subject
from taskapp.isolation.doctor.catalogue.acknowledgements import Line
from taskapp.isolation.doctor.model import Finding
from taskapp.isolation.doctor.run import examine
from taskapp.isolation.schema_revision import DraftSchemaError, refuse_draft, revision_of

_NO_SUCH_SESSION = "TA001"
_WRONG_SEAL = "TA002"


class NotIsolatedError(Exception):
    """Isolation does not hold on this database, or cannot be shown to. The message says what and why."""


def insist(urls: Mapping[str, str], connect_seconds: int, acknowledged: Sequence[Line] = ()) -> list[Finding]:
    """Examine the database that is about to be served; return what only warns, and nobody has acknowledged.

    :param urls: for each login role of the application, its URL, pooled or not.
    :param acknowledged: the differences from the golden catalogue that are there on purpose.
    :raises NotIsolatedError: when a rule is broken, a URL leads to another role, or the database does not answer.
    """
    findings: set[Finding] = set()
    for role, url in urls.items():
        try:
            with closing(connect(url, connect_timeout=connect_seconds)) as conn, conn.cursor() as cur:
                cur.execute("SELECT session_user")
                if (found := cur.fetchone()) != (role,):
                    raise NotIsolatedError(f"the URL for {role} logs in as {found and found[0]}")
                refuse_draft(revision_of(conn))
                # Nothing says that both URLs lead to the same database.
                findings.update(examine(cur, acknowledged))
        except DraftSchemaError as error:
            raise NotIsolatedError(str(error)) from error
        except psycopg2.Error as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise NotIsolatedError(f"the database cannot be examined as {role}: {reason}") from error
    ordered = sorted(findings, key=lambda finding: (finding.rule, finding.object))
    if broken := [finding for finding in ordered if not finding.warns]:
        told = "; ".join(f"{finding.rule} {finding.object} ({finding.statement})" for finding in broken)
        raise NotIsolatedError(f"isolation does not hold: {told}. `flask isolation doctor` says how to mend it")
    return [finding for finding in ordered if finding.acknowledged is None]


def insist_on_seal(url: str, key: SealKey, connect_seconds: int) -> None:
    """Let the database verify a seal of ours, for somebody whom it does not know: with a wrong key it refuses everybody.

    :param url: as ``taskapp_api``, pooled or not.
    :raises NotIsolatedError: when it does not believe the key.
    """
    nobody = str(uuid7())
    try:
        with closing(connect(url, connect_timeout=connect_seconds)) as conn, conn.cursor() as cur:
            cur.execute("SELECT extract(epoch FROM clock_timestamp()), session_user::text")
            ((now, role),) = cur.fetchall()
            seal = key.seal(session_subject(role, nobody, nobody), float(now))
            cur.execute("SELECT app.enter_session(%s, %s, %s, true)", (nobody, nobody, seal))
    except psycopg2.Error as error:
        if error.pgcode == _WRONG_SEAL:
            raise NotIsolatedError(
                f"the database does not believe TASKAPP_SEAL_KEY, {key.key_id}: `flask database status` says more"
            ) from error
        if error.pgcode != _NO_SUCH_SESSION:
            raise
