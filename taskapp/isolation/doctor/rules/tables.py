"""Rules about tables: row-level security, keys, and what else could show rows."""

from taskapp.isolation.columns import COLUMNS
from taskapp.isolation.doctor.model import NOBODYS, Rule, values

_WITHOUT_STATISTICS = [
    (column.table, column.name) for column in COLUMNS if not column.has_statistics or column.kind in ("content", "secret")
]
_TABLES = sorted({column.table for column in COLUMNS})
# Of attempts, which are nobody's: their key is an HMAC.
_COUNTERS = [
    (column.name,)
    for column in COLUMNS
    if column.table == "app.attempts" and (column.kind == "metadata" or column.name == "key")
]

TABLES = (
    Rule(
        "L01",
        "row-level security is enabled",
        "Without it policies are only text: whoever has a grant sees every user's rows.",
        "ALTER TABLE … ENABLE ROW LEVEL SECURITY, in a migration.",
        "SELECT 'app.' || relname FROM tenant WHERE NOT relrowsecurity",
    ),
    Rule(
        "L02",
        "row-level security is forced",
        "The role that owns a table passes its policies unless they are forced, and migrations run as that role.",
        "ALTER TABLE … FORCE ROW LEVEL SECURITY, in a migration.",
        "SELECT 'app.' || relname FROM tenant WHERE NOT relforcerowsecurity",
    ),
    Rule(
        "L07",
        "what is in a schema belongs to the role that makes things there",
        "An owner can switch policies off, and a login role that owns a table does so at will.",
        "ALTER … OWNER TO taskapp_owner (schema app) or taskapp_definer (schema app_private).",
        "SELECT format('%s.%s', nspname, relname) FROM relation WHERE relowner::regrole::text <>"
        " CASE nspname WHEN 'app' THEN 'taskapp_owner' ELSE 'taskapp_definer' END",
    ),
    Rule(
        "L14",
        "every key is led by the owner, but for the one that keeps an address to one account",
        "A unique key without the owner tells everybody that another user's row exists.",
        "Lead the key by user_id.",
        "SELECT 'app.' || c.relname FROM pg_index i JOIN tenant ON tenant.oid = indrelid"
        " JOIN pg_class c ON c.oid = indexrelid"
        " LEFT JOIN pg_attribute a ON attrelid = indrelid AND attnum = indkey[0]"
        " WHERE (indisunique OR indisexclusion)"
        " AND attname IS DISTINCT FROM 'user_id' AND c.relname <> 'users_email_key'"
        f" AND tenant.relname NOT IN {NOBODYS}",
    ),
    Rule(
        "L15",
        "a foreign key takes the owner along",
        "Foreign keys are checked without policies: one without the owner can point at another user's row, learn that it"
        " exists, and keep its owner from deleting it.",
        "FOREIGN KEY (user_id, …) REFERENCES … (user_id, …).",
        "SELECT format('%s on app.%s', conname, relname) FROM pg_constraint JOIN tenant ON tenant.oid = conrelid"
        " WHERE contype = 'f' AND NOT EXISTS (SELECT FROM unnest(conkey, confkey) AS pair (here, there)"
        " JOIN pg_attribute h ON h.attrelid = conrelid AND h.attnum = here"
        " JOIN pg_attribute t ON t.attrelid = confrelid AND t.attnum = there"
        " WHERE h.attname = 'user_id' AND t.attname = 'user_id')",
    ),
    Rule(
        "L16",
        "the owner's column is a uuid that is never missing, and that nobody writes",
        "A row without an owner is nobody's to see, and a row whose owner can be written can be given away or slipped in.",
        "user_id uuid NOT NULL; grant INSERT and UPDATE by column, and never on user_id.",
        "SELECT 'app.' || relname FROM tenant LEFT JOIN col USING (oid, relname)"
        f" WHERE relname NOT IN {NOBODYS} GROUP BY relname"
        " HAVING NOT bool_or(attname = 'user_id' AND attnotnull AND atttypid = 'uuid'::regtype) IS TRUE"
        " UNION SELECT format('app.%s.user_id, %s to %s', relname, privilege_type, who) FROM granted"
        " WHERE attname = 'user_id' AND nspname = 'app' AND privilege_type <> 'SELECT'",
    ),
    Rule(
        "L17",
        "every table has an index that is led by the owner",
        "Every query under a policy asks for an owner's rows; without that index it reads everybody's.",
        "PRIMARY KEY (user_id, …), or CREATE INDEX … (user_id, …).",
        f"SELECT 'app.' || relname FROM tenant WHERE relname NOT IN {NOBODYS} AND NOT EXISTS ("
        " SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]"
        " WHERE indrelid = tenant.oid AND indisvalid AND indpred IS NULL AND attname = 'user_id')",
    ),
    Rule(
        "L18",
        "a view runs as whoever asks",
        "Without security_invoker a view shows what its owner may see, whoever asks.",
        "CREATE VIEW … WITH (security_invoker = true).",
        "SELECT format('%s.%s', nspname, relname) FROM relation WHERE relkind = 'v'"
        " AND NOT coalesce(reloptions && ARRAY['security_invoker=true', 'security_invoker=on'], false)",
    ),
    Rule(
        "L19",
        "there is no kind of relation that cannot carry policies",
        "Materialized views and foreign tables hold or fetch rows that no policy looks at.",
        "Drop it, or use a view with security_invoker.",
        "SELECT format('%s.%s', nspname, relname) FROM relation WHERE relkind NOT IN ('r', 'i', 'v', 'S', 't', 'c')",
    ),
    Rule(
        "L26",
        "no publication ships rows away",
        "Logical replication sends every row of a table, past all policies.",
        "DROP PUBLICATION …, or take the tables of schema app out of it.",
        "SELECT DISTINCT format('publication %s of app.%s', pubname, tablename) FROM pg_publication_tables"
        " WHERE schemaname = 'app'",
    ),
    Rule(
        "L27",
        "no table inherits from another or is a partition",
        "A query of the parent shows the children's rows under the parent's policies, and a query of a child asks its own.",
        "Keep each table by itself.",
        "SELECT DISTINCT 'app.' || relname FROM tenant JOIN pg_inherits ON tenant.oid IN (inhrelid, inhparent)",
    ),
    Rule(
        "L34",
        "the owner's column fills itself in",
        "Statements name no owner: the identity that PostgreSQL believes is what a new row gets.",
        "ALTER TABLE … ALTER user_id SET DEFAULT app.current_user_id().",
        "SELECT 'app.' || relname FROM col LEFT JOIN pg_attrdef ON adrelid = col.oid AND adnum = attnum"
        " WHERE attname = 'user_id' AND pg_get_expr(adbin, adrelid) IS DISTINCT FROM 'app.current_user_id()'",
    ),
    Rule(
        "L44",
        "the tables are there",
        "Of an empty schema every other rule holds.",
        "flask db upgrade.",
        f"SELECT needed FROM unnest(ARRAY{_TABLES}) AS needed"
        " WHERE needed NOT IN (SELECT nspname || '.' || relname FROM relation WHERE relkind IN ('r', 'p'))",
    ),
    Rule(
        "L45",
        "every table has a primary key",
        "Without one nothing keeps a row apart from its twin.",
        "PRIMARY KEY (user_id, id).",
        "SELECT 'app.' || relname FROM tenant WHERE NOT EXISTS ("
        " SELECT FROM pg_index WHERE indrelid = tenant.oid AND indisprimary)",
    ),
    Rule(
        "L46",
        "a foreign key that clears columns leaves the owner's as it is",
        "ON DELETE SET NULL clears all columns of the key unless they are named, and a row without an owner cannot be.",
        "ON DELETE SET NULL (the column that may go).",
        "SELECT format('%s on app.%s', conname, relname) FROM pg_constraint JOIN tenant ON tenant.oid = conrelid"
        " WHERE contype = 'f' AND (confdeltype IN ('n', 'd') OR confupdtype IN ('n', 'd')) AND EXISTS ("
        " SELECT FROM pg_attribute WHERE attrelid = conrelid AND attname = 'user_id'"
        " AND attnum = ANY (coalesce(confdelsetcols, conkey)))",
    ),
    Rule(
        "L47",
        "there is no enum type",
        "The comparison of enums is not leakproof, so that under a policy no index can serve it.",
        "text with a CHECK.",
        "SELECT 'type ' || typname FROM pg_type JOIN room ON room.oid = typnamespace WHERE typtype = 'e'",
        only_warns="A query without an index finds the same rows, later; an enum runs no function of its own.",
    ),
    Rule(
        "L54",
        "a table of nobody's says nothing of whose its rows are",
        "What has no owner has no floor either, so there must be nothing in it that is somebody's.",
        "Give the table an owner's column and its policies.",
        "SELECT format('app.%s.%s', relname, attname) FROM col"
        f" WHERE relname = 'attempts' AND attname NOT IN (VALUES {values(_COUNTERS)})",
    ),
    Rule(
        "L61",
        "no rule rewrites what is done to a table",
        "What a rewrite rule adds to a statement runs with the rights of the table's owner.",
        "DROP RULE …; use a trigger.",
        "SELECT format('rule %s on app.%s', rulename, relname) FROM pg_rewrite JOIN tenant ON tenant.oid = ev_class",
    ),
    Rule(
        "L63",
        "no trigger or key is switched off",
        "Keys keep references to one's own rows, triggers keep subtasks with their parents; disabled they keep nothing.",
        "ALTER TABLE … ENABLE TRIGGER ….",
        "SELECT format('%s on app.%s', tgname, relname) FROM pg_trigger JOIN tenant ON tenant.oid = tgrelid"
        " WHERE tgenabled <> 'O'",
    ),
    Rule(
        "L64",
        "no constraint is waiting to be validated",
        "A constraint that is NOT VALID says nothing about the rows that were there before.",
        "ALTER TABLE … VALIDATE CONSTRAINT ….",
        "SELECT format('%s on app.%s', conname, relname) FROM pg_constraint JOIN tenant ON tenant.oid = conrelid"
        " WHERE NOT convalidated",
    ),
    Rule(
        "L65",
        "columns of what people wrote have no statistics",
        "EXPLAIN estimates from all users' rows: with statistics it confirms guesses of what others wrote.",
        "ALTER TABLE … ALTER … SET STATISTICS 0.",
        "SELECT format('%s.%s.%s', nspname, relname, attname) FROM relation"
        " JOIN pg_attribute a ON a.attrelid = relation.oid"
        " WHERE relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped"
        " AND coalesce((to_jsonb(a) ->> 'attstattarget')::int, -1) <> 0"
        f" AND (nspname || '.' || relname, attname) IN (VALUES {values(_WITHOUT_STATISTICS)})",
    ),
    Rule(
        "L68",
        "there are no statistics of expressions or of several columns",
        "They know what people wrote where the columns have no statistics, and EXPLAIN estimates from them.",
        "DROP STATISTICS …; index a stored column, and not an expression.",
        "SELECT format('statistics %s on %s.%s', stxname, nspname, relname) FROM pg_statistic_ext"
        " JOIN relation ON relation.oid = stxrelid"
        " UNION SELECT indexrelid::regclass::text FROM pg_index JOIN relation ON relation.oid = indrelid"
        " WHERE indexprs IS NOT NULL",
    ),
    Rule(
        "L73",
        "no role upserts through a key without the owner into a table of which it does not see every row",
        "CVE-2026-120154: on servers without the fixes of 2026-11-12, ON CONFLICT DO UPDATE reads the row that has the key"
        " already, before its policy is asked.",
        "Lead the key by user_id, or make it an exclusion constraint, which DO UPDATE cannot use; or REVOKE one of the two.",
        # Grants by column count too, and those to PUBLIC or to a group. An owner needs no upsert to read its tables.
        "SELECT format('%s for %s', indexrelid::regclass, who.rolname) FROM pg_index"
        " JOIN relation ON relation.oid = indrelid"
        " JOIN (SELECT oid, rolname FROM role UNION SELECT oid, rolname FROM person) AS who ON who.oid <> relowner"
        " LEFT JOIN pg_attribute a ON a.attrelid = indrelid AND a.attnum = indkey[0]"
        " WHERE indisunique AND NOT indisexclusion AND a.attname IS DISTINCT FROM 'user_id'"
        " AND has_any_column_privilege(who.oid, relation.oid, 'INSERT')"
        " AND has_any_column_privilege(who.oid, relation.oid, 'UPDATE')"
        " AND NOT (has_table_privilege(who.oid, relation.oid, 'SELECT')"
        " AND EXISTS (SELECT FROM policy WHERE polrelid = relation.oid AND polpermissive AND polcmd = 'r' AND shown = 'true'"
        " AND who.oid = ANY (polroles))"
        " AND NOT EXISTS (SELECT FROM policy WHERE polrelid = relation.oid AND NOT polpermissive"
        " AND (who.oid = ANY (polroles) OR 0 = ANY (polroles))))",
    ),
)
