"""What has to hold before this application serves anybody in production."""

from collections.abc import Mapping
from contextlib import closing

import psycopg2

from taskapp.isolation.doctor.examination import examine
from taskapp.isolation.doctor.rule import Finding


class NotIsolatedError(Exception):
    """Isolation does not hold on this database, or cannot be shown to. The message says what and why."""


def insist(urls: Mapping[str, str], connect_seconds: int) -> list[Finding]:
    """Hold the rules against the database that is about to be served; return what only warns.

    :param urls: for each login role of the application, its URL, pooled or not.
    :raises NotIsolatedError: when a rule is broken, a URL leads to another role, or the database does not answer.
    """
    findings: set[Finding] = set()
    for role, url in urls.items():
        try:
            with closing(psycopg2.connect(url, connect_timeout=connect_seconds)) as conn, conn.cursor() as cur:
                cur.execute("SELECT session_user")
                if (found := cur.fetchone()) != (role,):
                    raise NotIsolatedError(f"the URL for {role} logs in as {found and found[0]}")
                # Nothing says that both URLs lead to the same database.
                findings.update(examine(cur))
        except psycopg2.Error as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise NotIsolatedError(f"the database cannot be examined as {role}: {reason}") from error
    ordered = sorted(findings, key=lambda finding: (finding.rule, finding.object))
    if broken := [finding for finding in ordered if not finding.warns]:
        told = "; ".join(f"{finding.rule} {finding.object} ({finding.statement})" for finding in broken)
        raise NotIsolatedError(f"isolation does not hold: {told}. `flask isolation doctor` says how to mend it")
    return ordered
