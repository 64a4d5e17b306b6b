#!/bin/sh
# Write down whom PgBouncer lets in, in a folder that is in memory, and become PgBouncer.
set -eu
umask 077

cat >/run/pgbouncer/users.txt <<END
"taskapp_api" "$TASKAPP_API_PASSWORD"
"taskapp_auth" "$TASKAPP_AUTH_PASSWORD"
"taskapp_operator" "$TASKAPP_OPERATOR_PASSWORD"
END

exec pgbouncer /srv/pgbouncer/pgbouncer.ini
