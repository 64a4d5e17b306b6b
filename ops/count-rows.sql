-- How many rows each table has: psql -X -f ops/count-rows.sql URL. Whoever sees only some of them, or none, gets an error
-- here and no number: row_security = off does not open anything, it forbids to filter in silence.
\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' '
SET row_security = off;
SELECT format('SELECT %L, count(*) FROM %s', format('%I.%I', nspname, relname), c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
ORDER BY nspname COLLATE "C", relname COLLATE "C"
\gexec
