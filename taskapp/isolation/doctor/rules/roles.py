"""Rules about roles: none has a power of its own, few may become another, and the server holds each to its limits."""

from taskapp.database.patched_versions import PATCHED
from taskapp.isolation.doctor.model import Rule

_POWERS = "rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
_FILES = "'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program'"
_OWNERS = "('taskapp_owner', 'taskapp_definer', 'taskapp_warden')"
_GROUPS = "('taskapp_dba', 'taskapp_auditor', 'taskapp_breakglass')"
_LOGINS = "('taskapp_api', 'taskapp_auth', 'taskapp_operator', 'taskapp_migrator')"
_UNPATCHED = " OR ".join(f"n BETWEEN {major}0000 AND {first - 1}" for major, first in PATCHED.items())

ROLES = (
    Rule(
        "L03",
        "no role of ours has a power of its own",
        "A superuser and a role with BYPASSRLS pass every policy; one that makes roles can make itself such a role.",
        "ALTER ROLE … NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION NOINHERIT; on Neon drop the role and"
        " let `flask database init` make it by SQL.",
        f"SELECT 'role ' || rolname FROM role WHERE {_POWERS} OR rolinherit <> (rolname = 'taskapp_warden')",
    ),
    Rule(
        "L04",
        "the application's roles are members of nothing",
        "A member can become, or has, what the other role may do.",
        "REVOKE … FROM ….",
        "SELECT format('%s in %s', member, role) FROM membership WHERE (inherits OR becomes)"
        " AND member IN ('taskapp_api', 'taskapp_auth', 'taskapp_operator')",
    ),
    Rule(
        "L05",
        "the roles that own things are members of nothing, and the warden of people's logins alone",
        "A function runs with all that its owner is a member of.",
        "REVOKE … FROM ….",
        "SELECT format('%s in %s', member, role) FROM membership WHERE (inherits OR becomes)"
        f" AND (member IN ('taskapp_owner', 'taskapp_definer') OR member IN {_GROUPS}"
        " OR (member = 'taskapp_warden' AND role NOT IN (SELECT rolname FROM person)))",
    ),
    Rule(
        "L06",
        "the application's roles and the migrator log in, and no other",
        "Tables belong to roles that cannot log in, so that no connection owns anything.",
        "ALTER ROLE … NOLOGIN.",
        f"SELECT 'role ' || rolname FROM role WHERE rolcanlogin <> (rolname IN {_LOGINS})",
    ),
    Rule(
        "L30",
        "no login that reaches our roles passes policies, by itself or by what it may become",
        "A person's login with BYPASSRLS, or one that inherits from a group, sees rows without a ticket; so does one that"
        " may become a superuser, or that reads the server's files.",
        "ALTER ROLE … NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION NOINHERIT, or take the membership away.",
        "WITH RECURSIVE reached AS (SELECT rolname AS login, rolname AS role FROM ("
        " SELECT rolname FROM person UNION SELECT rolname FROM role) AS ours"
        " UNION SELECT login, membership.role FROM reached JOIN membership ON member = reached.role"
        " AND (inherits OR becomes))"
        " SELECT format('%s in %s', login, role) FROM reached JOIN pg_roles ON rolname = role"
        f" WHERE login <> role AND ({_POWERS} OR rolname IN ({_FILES}))"
        f" UNION SELECT 'role ' || rolname FROM person WHERE {_POWERS} OR rolinherit"
        f" UNION SELECT format('%s in %s', member, role) FROM membership WHERE inherits AND role IN {_GROUPS}"
        " AND member IN (SELECT rolname FROM person)",
    ),
    Rule(
        "L32",
        "the server has the fixes of row-level security of 2026-11-12",
        "CVE-2026-120154 and CVE-2026-16237 let INSERT … ON CONFLICT read or write past policies. Keys that are led by their"
        " owner close the first, and there is no view that can be written; older holes remain.",
        "Update to 15.20, 16.16, 17.12, 18.7 or later; on Neon that is Neon's to do.",
        "SELECT 'PostgreSQL ' || current_setting('server_version') FROM (SELECT current_setting('server_version_num')::int)"
        f" AS server (n) WHERE n < {min(PATCHED)}0000 OR {_UNPATCHED}",
        only_warns="The server may be somebody else's to update, and the holes are closed here by other means.",
    ),
    Rule(
        "L50",
        "the server itself ends what the application forgets",
        "A statement that never ends, or a transaction that is left open, keeps a connection and its locks.",
        "flask database init, or ALTER ROLE … SET statement_timeout = '10s' and so on.",
        "SELECT format('%s, %s', rolname, setting) FROM role,"
        " unnest(ARRAY['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) AS setting"
        " WHERE rolname IN ('taskapp_api', 'taskapp_auth', 'taskapp_operator')"
        " AND NOT EXISTS (SELECT FROM unnest(rolconfig) AS entry WHERE entry ~ ('^' || setting || '=[1-9]'))",
    ),
    Rule(
        "L51",
        "only the migrator becomes the roles that own things, nobody but it the application's, and nobody a person",
        "Who becomes the owner of a table can switch its policies off; who becomes taskapp_definer reads the keys; who"
        " becomes a person is in that person's groups.",
        "REVOKE … FROM ….",
        "SELECT format('%s in %s', member, role) FROM membership WHERE (inherits OR becomes)"
        " AND role IN (SELECT rolname FROM role UNION SELECT rolname FROM person)"
        # Who may end people's sessions, and has nothing else by it.
        " AND NOT (member = 'taskapp_warden' AND role IN (SELECT rolname FROM person))"
        f" AND NOT (member = 'taskapp_migrator' AND NOT inherits AND (role IN {_OWNERS}"
        " OR role IN ('taskapp_api', 'taskapp_auth')))"
        f" AND NOT (role IN {_GROUPS} AND member IN (SELECT rolname FROM person))",
    ),
    Rule(
        "L56",
        "no role begins with an identity, a ticket, policies that are switched off, or names that mean something else",
        "A default that is set for a role holds for every connection it makes: an identity would be everybody's,"
        " row_security = off makes every query fail, and by search_path a name is somebody else's function.",
        "ALTER ROLE … RESET …, or flask database init.",
        "SELECT format('%s: %s', coalesce(setrole::regrole::text, 'everybody'), entry) FROM pg_db_role_setting,"
        " unnest(setconfig) AS entry WHERE entry ~* '^(app\\.|row_security=|session_replication_role=|role=)'"
        " AND (setrole = 0 OR setrole IN (SELECT oid FROM role UNION SELECT oid FROM person))"
        " AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"
        # People have one, for what they type.
        " UNION SELECT format('%s: %s', setrole::regrole, entry) FROM pg_db_role_setting, unnest(setconfig) AS entry"
        " WHERE entry ~* '^search_path=' AND setrole IN (SELECT oid FROM role)",
    ),
    Rule(
        "L62",
        "the roles are there",
        "Of a role that is missing every other rule holds.",
        "flask database init.",
        "SELECT 'role ' || needed FROM unnest(ARRAY['taskapp_owner', 'taskapp_definer', 'taskapp_warden',"
        " 'taskapp_migrator', 'taskapp_api', 'taskapp_auth', 'taskapp_operator', 'taskapp_dba', 'taskapp_auditor',"
        " 'taskapp_breakglass'])"
        " AS needed WHERE needed NOT IN (SELECT rolname FROM role)",
    ),
)
