#!/bin/sh
# How many rows of each table are in a dump of pg_dump's own format, as ops/count-rows.sql writes it: ops/count-dump.sh [FILE]
set -eu
pg_restore --data-only --file=- "$@" | awk '
  table == "" && /^COPY / { table = $2; rows = 0; next }
  table != "" && $0 == "\\." { print table, rows; table = ""; next }
  table != "" { rows++ }' | LC_ALL=C sort
