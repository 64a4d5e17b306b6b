"""The manifest of columns: the class of each, whether it may have statistics, and which role reads and writes it.

The doctor's rules about grants and statistics follow from it, and so do the tables of the tests. Migrations import nothing
and write their grants out; `tests/isolation/test_catalogue.py` compares the catalogue they make with this manifest.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple, cast, get_args

Class = Literal["key", "metadata", "content", "secret"]
# key       which row it is, whose it is, or which row it refers to; also the address that names an account
# metadata  what kind of row it is, what happened to it, when and how often
# content   what a user wrote or chose, what is computed from that, and where a user logged in from
# secret    what proves an identity, or a digest of it
#
# Content and secrets have no statistics: EXPLAIN would confirm guesses of them. Nor have addresses, and a few columns whose
# statistics help no plan. The reason of an entry in access_log may quote what a user wrote.
#
# Rights are written as psql's \dp prints them: r SELECT, a INSERT, w UPDATE, d DELETE; `.` is none. The line `*` has those
# on the whole table. Which rows a role reaches with them, the policies say: doctor/policies.py.
_MANIFEST = """\
app.users                     class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           .    d     .         .        .    .           .
  user_id                     key       yes         r    r     r         r        r    r           r
  email                       key       no          r    raw   ra        r        r    r           r
  email_key                   key       no          .    .     r         .        r    r           r
  version                     metadata  yes         rw   rw    rw        .        r    r           r
  created_at                  metadata  yes         r    r     r         .        r    r           r
  updated_at                  metadata  yes         rw   rw    rw        .        r    r           r
  disabled_at                 metadata  yes         .    r     rw        .        r    r           r
  task_count_bound            metadata  no          rw   .     .         .        r    r           .
  display_name                content   no          rw   ra    .         .        r    r           .
  timezone                    content   no          rw   ra    .         .        r    r           .
  week_start                  content   no          rw   r     .         .        r    r           .
  password_hash               secret    no          .    raw   aw        .        .    .           .

app.sessions                  class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           .    .     d         .        .    .           .
  user_id                     key       yes         r    r     r         .        r    r           r
  id                          key       yes         r    ra    r         .        r    r           r
  created_at                  metadata  yes         r    r     .         .        r    r           r
  expires_at                  metadata  yes         r    ra    r         .        r    r           r
  revoked_at                  metadata  yes         rw   rw    rw        .        r    r           r
  last_used_at                metadata  yes         r    rw    r         .        r    r           r
  generation                  metadata  yes         .    rw    .         .        .    .           .
  previous_refresh_issued_at  metadata  yes         .    rw    .         .        .    .           .
  device_name                 content   no          r    ra    .         .        r    r           .
  user_agent                  content   no          r    ra    .         .        r    r           .
  ip                          content   no          r    ra    .         .        r    r           .

app.personal_access_tokens    class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           d    d     d         .        .    .           .
  user_id                     key       yes         r    r     r         r        r    r           r
  id                          key       yes         r    ra    .         r        r    r           r
  scopes                      metadata  no          r    ra    .         r        r    r           r
  created_at                  metadata  yes         r    r     .         .        r    r           r
  last_used_at                metadata  yes         r    r     .         rw       r    r           r
  expires_at                  metadata  yes         r    ra    .         r        r    r           r
  name                        content   no          r    ra    .         .        r    r           .
  prefix                      content   no          r    ra    .         .        r    r           .
  digest                      secret    no          .    a     .         r        .    .           .

app.attempts                  class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           .    rd    r         .        .    .           .
  key                         key       no          .    a     .         .        .    .           .
  count                       metadata  yes         .    aw    w         .        .    .           .
  since                       metadata  yes         .    aw    .         .        .    .           .
  blocked_until               metadata  yes         .    aw    .         .        .    .           .
  succeeded_at                metadata  yes         .    aw    .         .        .    .           .

app.lists                     class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           d    .     d         .        .    .           .
  user_id                     key       yes         r    .     r         .        r    r           r
  id                          key       yes         ra   .     r         .        r    r           r
  live_id                     key       yes         r    .     .         .        r    r           .
  position                    metadata  yes         rw   .     .         .        r    r           .
  archived                    metadata  yes         rw   .     .         .        r    r           r
  version                     metadata  yes         rw   .     .         .        r    r           r
  created_at                  metadata  yes         r    .     .         .        r    r           r
  updated_at                  metadata  yes         rw   .     .         .        r    r           r
  deleted_at                  metadata  yes         rw   .     r         .        r    r           r
  name                        content   no          raw  .     .         .        r    r           .
  color                       content   no          raw  .     .         .        r    r           .
  creation_fingerprint        content   no          ra   .     .         .        r    r           .

app.tags                      class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           d    .     .         .        .    .           .
  user_id                     key       yes         r    .     .         .        r    r           r
  key                         content   no          raw  .     .         .        r    r           .
  name                        content   no          raw  .     .         .        r    r           .

app.tasks                     class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           d    .     d         .        .    .           .
  user_id                     key       yes         r    .     r         .        r    r           r
  id                          key       yes         ra   .     r         .        r    r           r
  list_id                     key       yes         raw  .     .         .        r    r           r
  parent_id                   key       yes         raw  .     .         .        r    r           r
  list_key                    key       yes         r    .     .         .        r    r           .
  restore_list_id             key       yes         rw   .     .         .        r    r           r
  status                      metadata  yes         rw   .     .         .        r    r           r
  priority                    metadata  yes         raw  .     .         .        r    r           r
  version                     metadata  yes         rw   .     .         .        r    r           r
  created_at                  metadata  yes         r    .     .         .        r    r           r
  updated_at                  metadata  yes         rw   .     .         .        r    r           r
  position                    metadata  yes         raw  .     .         .        r    r           .
  completed_at                metadata  yes         rw   .     .         .        r    r           r
  deleted_at                  metadata  yes         rw   .     r         .        r    r           r
  priority_sort               metadata  yes         r    .     .         .        r    r           .
  completed_sort              metadata  yes         r    .     .         .        r    r           .
  restore_position            metadata  yes         rw   .     .         .        r    r           .
  title                       content   no          raw  .     .         .        r    r           .
  notes                       content   no          raw  .     .         .        r    r           .
  tags                        content   no          raw  .     .         .        r    r           .
  start_date                  content   no          raw  .     .         .        r    r           .
  due_date                    content   no          raw  .     .         .        r    r           .
  due_time                    content   no          raw  .     .         .        r    r           .
  due_timezone                content   no          raw  .     .         .        r    r           .
  metadata                    content   no          raw  .     .         .        r    r           .
  creation_fingerprint        content   no          ra   .     .         .        r    r           .
  title_sort                  content   no          r    .     .         .        r    r           .
  title_words                 content   no          raw  .     .         .        r    r           .
  notes_words                 content   no          raw  .     .         .        r    r           .
  tag_words                   content   no          raw  .     .         .        r    r           .
  due_sort                    content   no          rw   .     .         .        r    r           .
  due_at                      content   no          r    .     .         .        r    r           .

app.completions               class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           d    .     .         .        .    .           .
  user_id                     key       yes         r    .     .         .        r    r           r
  id                          key       yes         ra   .     .         .        r    r           r
  task_id                     key       yes         ra   .     .         .        r    r           r
  batch_id                    key       yes         ra   .     .         .        r    r           .
  outcome                     metadata  yes         ra   .     .         .        r    r           r
  completed_at                metadata  yes         ra   .     .         .        r    r           r
  title                       content   no          ra   .     .         .        r    r           .
  due_date                    content   no          ra   .     .         .        r    r           .
  due_time                    content   no          ra   .     .         .        r    r           .
  due_timezone                content   no          ra   .     .         .        r    r           .
  due_at                      content   no          r    .     .         .        r    r           .

app.idempotency_records       class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           d    .     d         .        .    .           .
  user_id                     key       yes         r    .     .         .        r    r           r
  status                      metadata  no          ra   .     .         .        r    r           r
  stored_at                   metadata  yes         r    .     r         .        r    r           r
  key                         content   no          ra   .     .         .        r    r           .
  request_fingerprint         content   no          ra   .     .         .        .    .           .
  body                        content   no          ra   .     .         .        .    .           .
  location                    content   no          ra   .     .         .        .    .           .
  etag                        content   no          ra   .     .         .        .    .           .

app.access_log                class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           .    .     .         r        r    r           r
  id                          key       yes         .    .     .         .        .    .           .
  subject                     key       yes         .    .     .         a        .    .           .
  kind                        metadata  yes         .    .     .         a        .    .           .
  person                      metadata  yes         .    .     .         .        .    .           .
  login                       metadata  yes         .    .     .         a        .    .           .
  reason                      metadata  no          .    .     .         a        .    .           .
  minutes                     metadata  yes         .    .     .         a        .    .           .
  opened_at                   metadata  yes         .    .     .         .        .    .           .
  opened_xid                  metadata  yes         .    .     .         .        .    .           .
  approved_by                 metadata  yes         .    .     .         w        .    .           .
  approved_at                 metadata  yes         .    .     .         w        .    .           .
  expires_at                  metadata  yes         .    .     .         aw       .    .           .
  closed_at                   metadata  yes         .    .     .         w        .    .           .
  closed_by                   metadata  yes         .    .     .         w        .    .           .

app.alembic_version           class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           r    r     .         .        .    .           .
  version_num                 metadata  yes         .    .     .         .        .    .           .

app_private.keys              class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           .    .     .         .        .    .           .
  key_id                      key       no          .    .     .         .        .    .           .
  not_after                   metadata  yes         .    .     .         .        .    .           .
  created_at                  metadata  yes         .    .     .         .        .    .           .
  inner_pad                   secret    no          .    .     .         .        .    .           .
  outer_pad                   secret    no          .    .     .         .        .    .           .

app.accounts                  class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           .    .     .         .        r    r           .

app.overdue                   class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           .    .     .         .        r    r           .

app.changed_today             class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           .    .     .         .        r    r           .

app.usage                     class     statistics  api  auth  operator  definer  dba  breakglass  auditor
  *                           -         -           .    .     .         .        .    .           r
"""

PRIVILEGES = {"r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}
WHOLE_TABLE = "*"


class Column(NamedTuple):
    """A column; `table` is with its schema."""

    table: str
    name: str
    kind: Class
    has_statistics: bool


class Right(NamedTuple):
    """A grant; `column` is WHOLE_TABLE where it is on a table or view."""

    table: str
    column: str
    role: str
    privilege: str


def _read(manifest: str) -> Iterator[Column | Right]:
    table, roles = "", [""]
    for line in filter(None, manifest.splitlines()):
        name, kind, statistics, *rights = line.split()
        if not line.startswith(" "):
            table, roles = name, rights
            continue
        if name != WHOLE_TABLE:
            if kind not in get_args(Class):
                raise ValueError(f"{table}.{name}: {kind!r} is no class")
            yield Column(table, name, cast(Class, kind), {"yes": True, "no": False}[statistics])
        for role, letters in zip(roles, rights, strict=True):
            for letter in letters.strip("."):
                yield Right(table, name, f"taskapp_{role}", PRIVILEGES[letter])


_ENTRIES = tuple(_read(_MANIFEST))
COLUMNS = tuple(entry for entry in _ENTRIES if isinstance(entry, Column))
RIGHTS = frozenset(entry for entry in _ENTRIES if isinstance(entry, Right))


def kinds(right: Right) -> frozenset[Class]:
    """Return the classes of the columns that a right is about."""
    return frozenset(
        column.kind for column in COLUMNS if column.table == right.table and right.column in (column.name, WHOLE_TABLE)
    )
