r"""Rules about comments: whoever reads the database with ``\d+`` is told what everything is for."""

from taskapp.isolation.doctor.model import Rule

_WHY = "Whoever queries the tables has nothing else to go by."
_MEND = "COMMENT ON … IS '…', in the migration that makes it."

COMMENTS = (
    Rule(
        "L53",
        "schemas, tables, views, columns and functions say what they are for",
        _WHY,
        _MEND,
        "SELECT 'schema ' || nspname FROM room WHERE obj_description(oid, 'pg_namespace') IS NULL"
        " UNION SELECT format('%s.%s', nspname, relname) FROM relation"
        " WHERE relkind IN ('r', 'v') AND obj_description(oid, 'pg_class') IS NULL"
        " UNION SELECT format('%s.%s.%s', nspname, relname, attname) FROM relation"
        " JOIN pg_attribute ON attrelid = relation.oid"
        " WHERE relkind IN ('r', 'v') AND attnum > 0 AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL"
        " UNION SELECT signature FROM function WHERE obj_description(oid, 'pg_proc') IS NULL",
        only_warns="A comment that is missing shows nothing to anybody.",
    ),
)
