"""Rules about grants: what nobody has, and what only one role has."""

from taskapp.isolation.columns import COLUMNS, RIGHTS, WHOLE_TABLE, kinds
from taskapp.isolation.doctor.model import CREDENTIALS, Rule, not_among, values

# The rights that the manifest of columns may list. What it may not, a rule finds although the manifest lists it.
_SECRETS = [(column.table, column.name) for column in COLUMNS if column.kind == "secret"]
# The database compares digests in a function of its own; operators set passwords and read none.
_READ_SECRETS = ("taskapp_auth", "taskapp_definer")
_OF_SECRETS = [
    right
    for right in RIGHTS
    if "secret" in kinds(right)
    and (right.role in _READ_SECRETS or (right.role == "taskapp_operator" and right.privilege != "SELECT"))
]
_OF_WHOLE_TABLES = [right for right in RIGHTS if right.column == WHOLE_TABLE]
_OF_AUDITORS = [right for right in RIGHTS if right.role == "taskapp_auditor" and kinds(right) <= {"key", "metadata"}]
_OF_OPERATORS_AND_DEFINER = [
    right
    for right in RIGHTS
    if right.role in ("taskapp_operator", "taskapp_definer")
    and (right.privilege == "DELETE" or "content" not in kinds(right))
]

GRANTS = (
    Rule(
        "L08",
        "only the four commands are granted",
        "TRUNCATE asks no policy; REFERENCES and TRIGGER let a role find out or act on rows it cannot see.",
        "REVOKE TRUNCATE, REFERENCES, TRIGGER ON … FROM ….",
        "SELECT format('%s.%s, %s to %s', nspname, relname, privilege_type, who) FROM granted"
        " WHERE privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') AND relkind <> 'S'",
    ),
    Rule(
        "L09",
        "only the roles that own things make things, and none makes temporary ones",
        "Functions of one's own in pg_temp see what a leaky plan shows them, and temporary copies of rows outlive the"
        " transaction on a pooled connection.",
        "REVOKE CREATE ON SCHEMA …, REVOKE CREATE, TEMPORARY ON DATABASE … FROM ….",
        "SELECT format('%s on schema %s', rolname, nspname) FROM role, pg_namespace n"
        " WHERE has_schema_privilege(role.oid, n.oid, 'CREATE')"
        " AND (rolname, nspname) NOT IN (('taskapp_owner', 'app'), ('taskapp_definer', 'app_private'))"
        " UNION SELECT format('%s on schema %s', grantee::regrole, nspname)"
        " FROM room JOIN pg_namespace USING (oid, nspname), aclexplode(nspacl)"
        " WHERE privilege_type = 'CREATE' AND grantee NOT IN (0, nspowner)"
        " UNION SELECT format('%s, %s on the database', rolname, privilege) FROM role, unnest(ARRAY['CREATE', 'TEMP'])"
        " AS privilege WHERE has_database_privilege(role.oid, current_database(), privilege)"
        " AND (rolname, privilege) NOT IN (('taskapp_owner', 'CREATE'), ('taskapp_definer', 'CREATE'))"
        " UNION SELECT format('everybody, %s on the database', privilege_type) FROM pg_database,"
        " aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE datname = current_database() AND grantee = 0",
    ),
    Rule(
        "L29",
        "what is made tomorrow is granted to nobody by default",
        "Default privileges make tomorrow's table readable before its policies exist.",
        "ALTER DEFAULT PRIVILEGES … REVOKE ….",
        "SELECT DISTINCT format('%s to %s, by %s', defaclobjtype, grantee::regrole, defaclrole::regrole)"
        " FROM pg_default_acl, aclexplode(defaclacl) WHERE grantee <> defaclrole AND (grantee = 0 OR grantee IN ("
        " SELECT oid FROM role UNION SELECT oid FROM person))"
        # What PostgreSQL has built in for types and functions is the callers' rules to find.
        " AND (defaclobjtype <> 'T' OR grantee <> 0)",
    ),
    Rule(
        "L31",
        "secrets are for taskapp_auth",
        "SQL injected into a request for tasks must not reach a password hash or the digest of a token.",
        "REVOKE SELECT (…) ON app.… FROM ….",
        "SELECT DISTINCT format('%s.%s.%s, %s to %s', nspname, relname, attname, privilege_type, who) FROM granted"
        f" WHERE (attname ~ {CREDENTIALS} OR (nspname || '.' || relname, attname) IN (VALUES {values(_SECRETS)}))"
        f" AND {not_among(_OF_SECRETS)}",
    ),
    Rule(
        "L38",
        "columns are granted by name",
        "A grant of the whole table takes in the columns that are added later, and user_id with them.",
        "GRANT SELECT (…), INSERT (…), UPDATE (…).",
        "SELECT DISTINCT format('app.%s, %s to %s', relname, privilege_type, who) FROM granted"
        " WHERE nspname = 'app' AND relkind = 'r' AND attname IS NULL AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE')"
        f" AND (relname, privilege_type) <> ('alembic_version', 'SELECT') AND {not_among(_OF_WHOLE_TABLES)}",
    ),
    Rule(
        "L39",
        "nothing is granted to everybody, or to be passed on",
        "PUBLIC is every role that is ever made, and a grant option lets a role decide who else has it.",
        "REVOKE … FROM PUBLIC; REVOKE GRANT OPTION FOR … FROM ….",
        "SELECT DISTINCT format('%s.%s, %s to %s', nspname, relname, privilege_type, CASE grantee WHEN 0 THEN 'everybody'"
        " ELSE who END) FROM granted WHERE grantee = 0 OR is_grantable",
    ),
    Rule(
        "L41",
        "a schema is open to those it is for",
        "A role without USAGE on a schema reaches nothing in it, whatever is granted there by mistake; the keys are nobody's"
        " business.",
        "REVOKE ALL ON SCHEMA … FROM ….",
        "SELECT format('schema %s, %s to %s', nspname, privilege_type, CASE grantee WHEN 0 THEN 'everybody'"
        " ELSE grantee::regrole::text END) FROM pg_namespace n, aclexplode(nspacl) WHERE grantee <> nspowner"
        " AND (nspname = 'app_private' OR (nspname IN ('app', 'public') AND grantee = 0))",
    ),
    Rule(
        "L42",
        "the keys are taskapp_definer's alone",
        "Whoever reads a key can be anybody.",
        "REVOKE ALL ON app_private.keys FROM …; flask db upgrade for the policy.",
        "SELECT DISTINCT format('%s.%s, %s to %s', nspname, relname, privilege_type, who) FROM granted"
        " WHERE nspname = 'app_private'"
        # Without a policy, whoever is in pg_read_all_data reads them.
        " UNION SELECT format('%s.%s', nspname, relname) FROM relation"
        " WHERE nspname = 'app_private' AND relkind = 'r' AND NOT (relrowsecurity AND relforcerowsecurity)"
        " UNION SELECT format('policy %s on %s.%s', polname, nspname, relname) FROM pg_policy"
        " JOIN relation ON relation.oid = polrelid"
        " WHERE nspname = 'app_private' AND polroles::regrole[]::text <> '{taskapp_definer}'",
    ),
    Rule(
        "L43",
        "a schema belongs to the role that makes things in it",
        "Who owns a schema can drop what is in it, and put something else in its place.",
        "ALTER SCHEMA … OWNER TO ….",
        "SELECT 'schema ' || nspname FROM room JOIN pg_namespace USING (oid, nspname) WHERE nspowner::regrole::text <>"
        " CASE nspname WHEN 'app' THEN 'taskapp_owner' ELSE 'taskapp_definer' END",
    ),
    Rule(
        "L48",
        "people write nothing",
        "Whoever looks into a matter must not be able to change it.",
        "REVOKE INSERT, UPDATE, DELETE ON … FROM ….",
        "SELECT DISTINCT format('app.%s, %s to %s', relname, privilege_type, who) FROM granted"
        " WHERE privilege_type <> 'SELECT' AND (who IN ('taskapp_dba', 'taskapp_auditor', 'taskapp_breakglass')"
        " OR grantee IN (SELECT oid FROM person))",
    ),
    Rule(
        "L49",
        "auditors see of every row what it is, and of no row what it says",
        "Auditors have no ticket, so the columns they have are all that limits them.",
        "REVOKE SELECT (…) ON app.… FROM taskapp_auditor; what auditors read of a new column is written in"
        " taskapp/isolation/columns.py.",
        "SELECT DISTINCT format('app.%s.%s', relname, coalesce(attname, '*')) FROM granted"
        f" WHERE who = 'taskapp_auditor' AND relkind = 'r' AND {not_among(_OF_AUDITORS)}",
    ),
    Rule(
        "L52",
        "an operator and the definer reach nothing that anybody wrote",
        "The person who runs the service makes and closes accounts, and empties the trash, without reading any of it; the"
        " functions that run as taskapp_definer look up accounts and tokens.",
        "REVOKE … FROM taskapp_operator, taskapp_definer; drop its policies there.",
        "SELECT DISTINCT format('app.%s.%s to %s', relname, coalesce(attname, '*'), who) FROM granted WHERE nspname = 'app'"
        f" AND who IN ('taskapp_operator', 'taskapp_definer') AND {not_among(_OF_OPERATORS_AND_DEFINER)}",
    ),
    Rule(
        "L66",
        "nobody writes through a view, and people alone read one",
        "CVE-2026-16237 let an upsert through a view change rows that the view does not show.",
        "REVOKE … ON … FROM …; the application reads tables.",
        "SELECT DISTINCT format('%s.%s, %s to %s', nspname, relname, privilege_type, who) FROM granted WHERE relkind = 'v'"
        " AND (privilege_type <> 'SELECT' OR who NOT IN ('taskapp_dba', 'taskapp_auditor', 'taskapp_breakglass'))",
    ),
    Rule(
        "L67",
        "no sequence is granted",
        "The numbers that are given out tell how much everybody does.",
        "REVOKE ALL ON SEQUENCE … FROM ….",
        "SELECT DISTINCT format('%s.%s, %s to %s', nspname, relname, privilege_type, CASE grantee WHEN 0 THEN 'everybody'"
        " ELSE who END) FROM granted WHERE relkind = 'S'",
    ),
    Rule(
        "L69",
        "no other schema reads our tables, or has anything for our roles",
        "Every other rule looks at schemas app and app_private alone: a view elsewhere runs as its owner, a table elsewhere"
        " has no policies, and a function elsewhere that runs as its owner may be a superuser's.",
        "Drop it, or REVOKE USAGE ON SCHEMA … FROM PUBLIC and our roles.",
        "SELECT DISTINCT 'view ' || ev_class::regclass FROM pg_rewrite w JOIN pg_class v ON v.oid = ev_class"
        " JOIN pg_depend d ON classid = 'pg_rewrite'::regclass AND objid = w.oid AND refclassid = 'pg_class'::regclass"
        " JOIN relation ON relation.oid = refobjid WHERE v.relnamespace NOT IN (SELECT oid FROM room)"
        " UNION SELECT format('%s for %s', c.oid::regclass, rolname) FROM role, elsewhere"
        " JOIN pg_class c ON c.relnamespace = elsewhere.oid WHERE relkind IN ('r', 'p', 'v', 'm', 'f')"
        " AND has_schema_privilege(role.oid, elsewhere.oid, 'USAGE')"
        " AND (has_any_column_privilege(role.oid, c.oid, 'SELECT, INSERT, UPDATE')"
        " OR has_table_privilege(role.oid, c.oid, 'DELETE, TRUNCATE'))"
        " UNION SELECT format('%s for %s', p.oid::regprocedure, rolname) FROM role, elsewhere"
        " JOIN pg_proc p ON p.pronamespace = elsewhere.oid WHERE prosecdef"
        " AND has_schema_privilege(role.oid, elsewhere.oid, 'USAGE') AND has_function_privilege(role.oid, p.oid, 'EXECUTE')",
    ),
)
