#!/bin/sh
# Dump a database, and show that all of its rows are in the dump: ops/backup.sh URL FOLDER, as somebody whom row-level security
# does not bind. Writes FOLDER/taskapp.dump, and FOLDER/rows with the number of rows of each table. Status 0 only when both agree;
# otherwise what was there before stays as it was.
set -eu
umask 077
url=$1 folder=$2 here=$(dirname "$0")
# pg_dump refuses a server that is newer than itself. Of one that is older it writes a file that such a server cannot restore.
server=$(psql -XAtc 'SHOW server_version_num' "$url") tool=$(pg_dump --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
if [ "$tool" -ne $((server / 10000)) ]; then
    echo "not a backup: the server is PostgreSQL $((server / 10000)), and pg_dump is of $tool; a dump by it would not restore on" \
        "such a server. Put the programs of $((server / 10000)) first in PATH, as in PATH=/usr/lib/postgresql/$((server / 10000))/bin:\$PATH" >&2
    exit 1
fi
mkdir -p "$folder"
dump=$folder/taskapp.dump.new rows=$folder/rows.new
trap 'rm -f "$dump" "$rows"' EXIT
export url dump
# Counted in the very snapshot that is dumped, so it makes no difference what is written meanwhile. psql does not mind how a
# program ends that it starts, and pg_dump may fail when all of its file is there: what it leaves then is no backup.
psql -X --set=here="$here" --output="$rows" "$url" <<'END'
\set QUIET on
\set ON_ERROR_STOP on
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL idle_in_transaction_session_timeout = 0;
SELECT pg_export_snapshot() AS snapshot \gset
\i :here/count-rows.sql
\setenv snapshot :snapshot
\! pg_dump --format=custom --snapshot="$snapshot" --file="$dump" --dbname="$url" || rm -f "$dump"
COMMIT;
END
"$here/count-dump.sh" "$dump" | diff "$rows" -
test -s "$rows"
mv "$dump" "$folder/taskapp.dump"
mv "$rows" "$folder/rows"
awk '{ rows += $2 } END { print rows " rows of " NR " tables, and all of them are in the dump" }' "$folder/rows"
