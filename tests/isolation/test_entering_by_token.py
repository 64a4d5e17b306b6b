"""What it takes to enter by a personal access token, and how far injected SQL gets in a request that came with one.

The application seals a claim here that it has not verified: only the database can. So it matters what each seal is good for,
and that a refusal leaves nothing of the identity behind which looking up the token takes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple
from uuid import uuid4

import psycopg2
import pytest
from conftest import Admin, Cluster

from isolation.conftest import NOT_GRANTED, POLICY, ActAs, Stray, User, rows_of
from taskapp.database.identity import Anonymous, TokenUser
from taskapp.database.signature import SEAL_SECONDS, SealKey, bearer_subject, login_subject
from taskapp.web.authentication.personal_token import SCOPES, digest

Values = dict[str, object]

REFUSED, SEAL_WRONG, SCOPE_MISSING = "TA001", "TA002", "TA004"
READ_ONLY, NO_LONGER_WRITABLE = "25006", "25001"

TITLES = "SELECT title FROM app.tasks"
ENTER = "SELECT app.enter_token(%(user)s, %(digest)s, %(seal)s, %(scope)s, %(read_only)s)"
SETTINGS = (
    "SELECT current_setting('app.user_id', true), current_setting('app.purpose', true),"
    " current_setting('app.user_seal', true), current_setting('app.login_email', true),"
    " current_setting('app.login_seal', true)"
)


def subject(user: User, of: bytes | None = None) -> str:
    return bearer_subject("taskapp_api", user.id, of or digest(user.token))


def claim(user: User, seal: str | None, scope: str | None = "tasks:write", read_only: bool | None = False) -> Values:
    return {"user": user.id, "digest": digest(user.token), "seal": seal, "scope": scope, "read_only": read_only}


def only(admin: Admin, user: User, *scopes: str) -> None:
    """Let the token of `user` have these scopes and no others."""
    admin.execute("UPDATE app.personal_access_tokens SET scopes = %s WHERE user_id = %s", list(scopes), user.id)


# A token enters as its owner, for as long as there is one.


def test_a_token_shows_its_owners_rows(owner: User, other: User, as_api: ActAs) -> None:
    for user in (owner, other, owner):
        assert as_api(user.holding("tasks:read")).rows(TITLES) == [(user.secret,)]


def test_a_token_writes_its_owners_rows(admin: Admin, owner: User, other: User, as_api: ActAs) -> None:
    before = rows_of(admin, other.id)
    assert as_api(owner.holding("tasks:write")).outcome("UPDATE app.tasks SET title = 'changed'") == 1
    assert rows_of(admin, other.id) == before


def revoked(admin: Admin, user: User) -> None:
    admin.execute("DELETE FROM app.personal_access_tokens WHERE user_id = %s", user.id)


def expired(admin: Admin, user: User) -> None:
    admin.execute(
        "UPDATE app.personal_access_tokens SET created_at = now() - interval '2 days', expires_at = now() - interval '1 ms'"
        " WHERE user_id = %s",
        user.id,
    )


def exchanged(admin: Admin, user: User) -> None:
    admin.execute("UPDATE app.personal_access_tokens SET digest = sha256('another') WHERE user_id = %s", user.id)


def gone(admin: Admin, user: User) -> None:
    admin.execute("DELETE FROM app.users WHERE user_id = %s", user.id)


ends = pytest.mark.parametrize("end", [revoked, expired, exchanged, gone])


@ends
@pytest.mark.parametrize("scope", ["tasks:read", "tasks:write", None])
def test_a_token_that_is_no_more_enters_nothing(
    admin: Admin, owner: User, other: User, as_api: ActAs, end: Callable[[Admin, User], None], scope: str | None
) -> None:
    end(admin, owner)
    assert as_api(owner.holding(scope)).outcome(TITLES) == REFUSED
    assert as_api(other.holding(scope)).outcome(TITLES) == 1


def test_the_token_of_another_user_enters_nothing(owner: User, other: User, as_api: ActAs) -> None:
    # The text of a token names its user: this one was altered.
    for who in (owner.holding("tasks:read", other.token), other.holding("tasks:read", owner.token)):
        assert as_api(who).outcome(TITLES) == REFUSED


def test_a_user_that_never_was_enters_nothing(owner: User, as_api: ActAs) -> None:
    assert as_api(TokenUser(uuid4(), digest(owner.token), "tasks:read")).outcome(TITLES) == REFUSED


def test_two_users_may_have_the_same_digest_and_each_enters_as_oneself(
    admin: Admin, owner: User, other: User, as_api: ActAs
) -> None:
    admin.execute("UPDATE app.personal_access_tokens SET digest = %s", digest("both"))
    for user in (owner, other):
        assert as_api(user.holding("tasks:read", "both")).rows(TITLES) == [(user.secret,)]


@pytest.mark.parametrize("role", ["taskapp_auth", "taskapp_operator", "taskapp_migrator"])
def test_no_other_role_enters_by_a_token(stray: Stray, role: str) -> None:
    assert stray(role).outcome("SELECT app.enter_token(gen_random_uuid(), '', '', NULL, true)") == NOT_GRANTED


# What a token is good for.


@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_is_good_for_its_scopes_and_no_others(admin: Admin, owner: User, as_api: ActAs, scope: str) -> None:
    only(admin, owner, scope)
    outcomes = {wanted: as_api(owner.holding(wanted)).outcome(TITLES) for wanted in SCOPES}
    assert outcomes == {**dict.fromkeys(SCOPES, SCOPE_MISSING), scope: 1}


@pytest.mark.parametrize("scope", ["", "tasks", "tasks:", "tasks:WRITE", "%", "tasks:read tasks:write", "{tasks:read}"])
def test_what_is_no_scope_is_refused(owner: User, as_api: ActAs, scope: str) -> None:
    assert as_api(owner.holding(scope)).outcome(TITLES) == SCOPE_MISSING


@pytest.mark.parametrize("scope", ["tasks:read", "lists:read", None])
@pytest.mark.parametrize("read_only", [True, False, None])
def test_without_a_scope_to_write_nothing_is_written_whatever_the_application_says(
    admin: Admin, owner: User, stray: Stray, seal_key: SealKey, scope: str | None, read_only: bool | None
) -> None:
    before = rows_of(admin, owner.id)["tasks"]
    values = claim(owner, seal_key.seal(subject(owner), time.time()), scope, read_only)
    assert stray("taskapp_api").outcome(f"{ENTER}; UPDATE app.tasks SET title = 'x'", values) == READ_ONLY
    assert rows_of(admin, owner.id)["tasks"] == before


@pytest.mark.parametrize(
    "statement", ["SELECT set_config('transaction_read_only', 'off', true)", "SET TRANSACTION READ WRITE"]
)
def test_reading_cannot_be_made_to_write(admin: Admin, owner: User, as_api: ActAs, statement: str) -> None:
    before = rows_of(admin, owner.id)["tasks"]
    injected = f"{statement}; UPDATE app.tasks SET title = 'changed'"
    assert as_api(owner.holding("tasks:read")).outcome(injected) == NO_LONGER_WRITABLE
    assert rows_of(admin, owner.id)["tasks"] == before


def test_a_get_with_a_scope_to_write_does_not_write_either(owner: User, as_api: ActAs) -> None:
    assert as_api(owner.holding("tasks:write")).in_a_get().outcome("UPDATE app.tasks SET title = 'x'") == READ_ONLY


# Seals. The application's is about what a client sent; the user's own is the database's to make.


class Forgery(NamedTuple):
    """What there is to make a seal of."""

    key: SealKey
    owner: User
    other: User

    def seal(self, of: str, ago: float = 0) -> str:
        return self.key.seal(of, time.time() - ago)


SEALS: dict[str, Callable[[Forgery], str | None]] = {
    "missing": lambda _: None,
    "empty": lambda _: "",
    "no parts": lambda _: "forged",
    "of the user": lambda f: f.seal(f.owner.session_in("taskapp_api")),
    "of the user, proven": lambda f: f.seal(f.owner.proven_in("taskapp_api")),
    "for another role": lambda f: f.seal(bearer_subject("taskapp_auth", f.owner.id, digest(f.owner.token))),
    "without a role, as it was before": lambda f: f.seal(f"token:{f.owner.id}:{digest(f.owner.token).hex()}"),
    "of a log-in": lambda f: f.seal(login_subject("taskapp_api", f.owner.email)),
    "of the token as a log-in": lambda f: f.seal(login_subject("taskapp_api", subject(f.owner))),
    "of another user's token": lambda f: f.seal(subject(f.other)),
    "of another token": lambda f: f.seal(subject(f.owner, digest("another"))),
    "of the token as another user's": lambda f: f.seal(subject(f.other, digest(f.owner.token))),
    "of the user without a token": lambda f: f.seal(bearer_subject("taskapp_api", f.owner.id, b"")),
    "of the digest alone": lambda f: f.seal(digest(f.owner.token).hex()),
    "expired": lambda f: f.seal(subject(f.owner), ago=SEAL_SECONDS + 1),
    "wrong key, right id": lambda f: SealKey(f.key.key_id, bytes(32)).seal(subject(f.owner), time.time()),
}


def test_a_good_seal_enters(owner: User, stray: Stray, seal_key: SealKey) -> None:
    """Without this, the refusals below could have any reason."""
    values = claim(owner, seal_key.seal(subject(owner), time.time()))
    assert stray("taskapp_api").rows(f"{ENTER}; {TITLES}" % quoted(values)) == [(owner.secret,)]


def quoted(values: Values) -> dict[str, str]:
    """Write values into a statement of several, which has no place for parameters of its own."""
    written = {name: "NULL" if value is None else f"'{value}'" for name, value in values.items()}
    of_token = values["digest"]
    assert isinstance(of_token, bytes)
    return {**written, "digest": f"decode('{of_token.hex()}', 'hex')"}


@pytest.mark.parametrize("seal", SEALS.values(), ids=SEALS)
def test_a_seal_that_is_not_good_does_not_enter(
    owner: User, other: User, stray: Stray, seal_key: SealKey, seal: Callable[[Forgery], str | None]
) -> None:
    values = claim(owner, seal(Forgery(seal_key, owner, other)))
    assert stray("taskapp_api").outcome(ENTER, values) == SEAL_WRONG


def test_a_seal_of_a_retired_key_does_not_enter(admin: Admin, owner: User, stray: Stray) -> None:
    old = SealKey("old-token-key", bytes(range(32)))
    admin.execute("INSERT INTO app_private.keys VALUES (%s, %s, %s, now() + interval '1 hour')", old.key_id, *old.pads())
    try:
        values = claim(owner, old.seal(subject(owner), time.time()))
        assert stray("taskapp_api").outcome(ENTER, values) == 1
        admin.execute("UPDATE app_private.keys SET not_after = now() WHERE key_id = %s", old.key_id)
        assert stray("taskapp_api").outcome(ENTER, values) == SEAL_WRONG
    finally:
        admin.execute("DELETE FROM app_private.keys WHERE key_id = %s", old.key_id)


def test_the_applications_seal_of_a_token_is_no_users_seal(owner: User, stray: Stray, seal_key: SealKey) -> None:
    # A genuine one, as a made-up token would get it, too. It holds for one claim only, which is no uuid.
    for of in (subject(owner), subject(owner, digest("made up"))):
        seal = seal_key.seal(of, time.time())
        forged = (
            "SELECT set_config('app.user_id', %s, true), set_config('app.purpose', %s, true),"
            " set_config('app.user_seal', %s, true);" + TITLES
        )
        for purpose in ("token", "bearer", f"bearer:taskapp_api:{owner.id}", "proven", owner.purpose):
            for user in (owner.id, of, of.rpartition(":")[2]):
                assert stray("taskapp_api").rows(forged, user, purpose, seal) == []


@pytest.mark.parametrize("call", ["app.enter_session(%(user)s, %(session)s, %(seal)s, false)"])
def test_the_applications_seal_of_a_token_enters_no_session(owner: User, stray: Stray, seal_key: SealKey, call: str) -> None:
    values = {"user": owner.id, "session": owner.session_id, "seal": seal_key.seal(subject(owner), time.time())}
    call = "SELECT app.enter_session(%(user)s, %(session)s, %(seal)s, false)"
    assert stray("taskapp_api").outcome(call, values) == SEAL_WRONG


def test_the_seal_that_the_database_makes_is_for_one_transaction_and_expires_with_the_claim(
    owner: User, as_api: ActAs, seal_key: SealKey
) -> None:
    seal, moment, claims = as_api(owner.holding("tasks:read")).rows(
        "SELECT current_setting('app.user_seal'), extract(epoch FROM now())::text,"
        " substring(current_query() FROM '[a-z0-9-]+[.][0-9]+[.][0-9a-f]{64}')"
    )[0]
    key_id, expiry, _ = claims.split(".")
    assert (key_id, int(expiry) - time.time() <= SEAL_SECONDS) == (seal_key.key_id, True)
    assert seal == seal_key.seal(f"token:{moment}:taskapp_api:{owner.id}", int(expiry) - SEAL_SECONDS)


def test_no_role_makes_a_seal(stray: Stray) -> None:
    for role in ("taskapp_api", "taskapp_auth", "taskapp_operator", "taskapp_migrator"):
        assert stray(role).outcome("SELECT app_private.seal_with_key_of('x', 'test-1.1.x')") == NOT_GRANTED


# A refusal takes the identity back that it looked the token up by, also where SQL goes on behind it.

REFUSALS: dict[str, tuple[str | None, str]] = {
    "a token that never was": ("made up", "tasks:write"),
    "a scope it does not have": (None, "lists:write"),
}
refusals = pytest.mark.parametrize(("made_up", "scope"), REFUSALS.values(), ids=REFUSALS)


def refused_call(owner: User, key: SealKey, made_up: str | None, scope: str) -> str:
    """A call that fails: as the application itself would send it, so that its seal is good."""
    of = digest(made_up or owner.token)
    seal = key.seal(subject(owner, of), time.time())
    return f"app.enter_token('{owner.id}', decode('{of.hex()}', 'hex'), '{seal}', '{scope}', false)"


@refusals
@pytest.mark.parametrize("before", ["nobody", "other"])
def test_a_refusal_that_is_caught_leaves_whoever_it_was_before(
    admin: Admin, owner: User, other: User, as_api: ActAs, seal_key: SealKey, made_up: str | None, scope: str, before: str
) -> None:
    only(admin, owner, "tasks:read", "tasks:write")
    call = refused_call(owner, seal_key, made_up, scope)
    caught = f"DO $$ BEGIN PERFORM {call}; EXCEPTION WHEN OTHERS THEN NULL; END $$; "
    client = as_api(other.signed_in if before == "other" else Anonymous())
    assert client.rows(caught + TITLES) == ([(other.secret,)] if before == "other" else [])
    assert owner.id not in str(client.rows(caught + SETTINGS))


@refusals
def test_a_refusal_within_a_savepoint_leaves_nobody(
    admin: Admin, owner: User, stray: Stray, seal_key: SealKey, made_up: str | None, scope: str
) -> None:
    only(admin, owner, "tasks:read", "tasks:write")
    client = stray("taskapp_api")
    client.rows("BEGIN; SAVEPOINT here")
    assert client.outcome(f"SELECT {refused_call(owner, seal_key, made_up, scope)}") in (REFUSED, SCOPE_MISSING)
    client.rows("ROLLBACK TO here")
    assert client.rows(TITLES) == []
    assert not any(*client.rows(SETTINGS))


def test_an_identity_entered_within_a_savepoint_goes_with_it(owner: User, stray: Stray, seal_key: SealKey) -> None:
    client = stray("taskapp_api")
    values = quoted(claim(owner, seal_key.seal(subject(owner), time.time())))
    assert client.rows(f"BEGIN; SAVEPOINT here; {ENTER}; {TITLES}" % values) == [(owner.secret,)]
    assert client.rows(f"ROLLBACK TO here; {TITLES}") == []


def test_a_message_by_a_token_leaves_no_identity_behind(owner: User, as_api: ActAs) -> None:
    for client in (as_api(owner.holding("tasks:read")), as_api(owner.holding("tasks:read", "made up"))):
        client.outcome(TITLES)
        assert not any(*client.next_client().rows(SETTINGS))
        assert client.next_client().rows(TITLES) == []


def test_an_identity_kept_for_the_whole_connection_is_void_in_the_next_transaction(owner: User, as_api: ActAs) -> None:
    keep = (
        "SELECT set_config('app.user_id', current_setting('app.user_id'), false),"
        " set_config('app.purpose', current_setting('app.purpose'), false),"
        " set_config('app.user_seal', current_setting('app.user_seal'), false)"
    )
    client = as_api(owner.holding("tasks:read"))
    client.rows(keep)
    assert as_api(Anonymous()).rows(TITLES) == []
    client.rows(keep)
    assert client.next_client().rows(SETTINGS)[0][0] == owner.id
    assert client.next_client().rows(TITLES) == []


# What SQL cannot do that was injected into a request by a token. (It can do what else its owner may do as taskapp_api: the
# scopes are a limit on operations. docs/isolation.md says so.)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT digest FROM app.personal_access_tokens", NOT_GRANTED),
        ("SELECT FROM app.personal_access_tokens WHERE digest = sha256('guess')", NOT_GRANTED),
        ("SELECT FROM app.personal_access_tokens ORDER BY digest", NOT_GRANTED),
        ("SELECT personal_access_tokens FROM app.personal_access_tokens", NOT_GRANTED),
        ("COPY app.personal_access_tokens TO STDOUT", NOT_GRANTED),
        (
            "INSERT INTO app.personal_access_tokens (id, name, scopes, prefix, digest, expires_at)"
            " VALUES (gen_random_uuid(), 'x', '{tasks:write}', 'tsk_pat_xxxx', sha256('x'), now() + interval '1 day')",
            NOT_GRANTED,
        ),
        ("UPDATE app.personal_access_tokens SET scopes = '{lists:write}'", NOT_GRANTED),
        ("UPDATE app.personal_access_tokens SET expires_at = expires_at + interval '1 year'", NOT_GRANTED),
        ("UPDATE app.personal_access_tokens SET last_used_at = NULL", NOT_GRANTED),
        ("SELECT app_private.verify_seal('x', 'y')", NOT_GRANTED),
        ("SELECT FROM app_private.keys", NOT_GRANTED),
        ("SELECT password_hash FROM app.users", NOT_GRANTED),
        ("UPDATE app.users SET email = 'eve@example.com'", NOT_GRANTED),
        ("UPDATE app.users SET disabled_at = NULL", NOT_GRANTED),
        ("DELETE FROM app.users", NOT_GRANTED),
        ("INSERT INTO app.sessions (id, expires_at) VALUES (gen_random_uuid(), now() + interval '1 day')", NOT_GRANTED),
        ("UPDATE app.sessions SET revoked_at = NULL", POLICY),
        ("SET ROLE taskapp_definer", NOT_GRANTED),
        ("SET LOCAL row_security = off; SELECT FROM app.tasks", POLICY),
    ],
)
def test_sql_in_a_request_by_a_token_makes_and_learns_no_credential(
    owner: User, as_api: ActAs, statement: str, expected: str
) -> None:
    assert as_api(owner.holding("tasks:write")).outcome(statement) == expected


def test_sql_in_a_request_by_a_token_is_nobody_else_with_the_seals_it_finds(owner: User, other: User, as_api: ActAs) -> None:
    # It finds the application's seal in the text of its own message, and the database's among the settings.
    forged = (
        "SELECT set_config('probe.seal', substring(current_query() FROM '[a-z0-9-]+[.][0-9]+[.][0-9a-f]{64}'), true),"
        " set_config('probe.own', current_setting('app.user_seal'), true);"
        " SELECT set_config('app.user_id', %(victim)s, true), set_config('app.purpose', %(purpose)s, true),"
        " set_config('app.user_seal', current_setting(%(which)s), true);"
        " SELECT title FROM app.tasks"
    )
    for which in ("probe.seal", "probe.own"):
        client = as_api(other.holding("tasks:write"))
        for purpose in ("token", "proven", owner.purpose, other.purpose):
            assert client.outcome(forged, {"victim": owner.id, "purpose": purpose, "which": which}) == 0


@pytest.mark.parametrize("whose", ["owner", "other"])
def test_sql_in_a_request_by_a_token_enters_by_no_other_token_with_the_seal_it_finds(
    owner: User, other: User, as_api: ActAs, whose: str
) -> None:
    of = digest((owner if whose == "owner" else other).token)
    again = (
        "SELECT app.enter_token(%(victim)s, %(digest)s,"
        " substring(current_query() FROM '[a-z0-9-]+[.][0-9]+[.][0-9a-f]{64}'), 'tasks:write', false)"
    )
    values = {"victim": owner.id, "digest": of}
    assert as_api(other.holding("tasks:write")).outcome(again, values) == SEAL_WRONG


def test_sql_in_a_request_by_a_token_gets_no_scope_from_entering_again(admin: Admin, owner: User, as_api: ActAs) -> None:
    only(admin, owner, "tasks:read")
    again = (
        "COMMIT; SELECT app.enter_token(%(user)s, %(digest)s,"
        " substring(current_query() FROM '[a-z0-9-]+[.][0-9]+[.][0-9a-f]{64}'), %(scope)s, false)"
    )
    for scope, outcome in (("tasks:read", 1), ("tasks:write", SCOPE_MISSING), ("lists:read", SCOPE_MISSING)):
        values = {"user": owner.id, "digest": digest(owner.token), "scope": scope}
        assert as_api(owner.holding("tasks:read")).outcome(again, values) == outcome


@pytest.mark.parametrize(
    "setting",
    [
        "standard_conforming_strings = off",
        "transform_null_equals = on",
        "bytea_output = escape",
        "search_path = pg_temp",
        "extra_float_digits = -15",
        "DateStyle = 'German'",
        "TimeZone = 'Asia/Tokyo'",
        "default_transaction_isolation = serializable",
        "row_security = off",
    ],
)
def test_a_setting_that_was_injected_before_opens_nothing(
    owner: User, other: User, stray: Stray, seal_key: SealKey, setting: str
) -> None:
    client = stray("taskapp_api")
    client.rows(f"SET {setting}")
    good = seal_key.seal(subject(owner), time.time())
    for user, seal, outcome in ((owner, good, 1), (owner, good[:-1] + "g", SEAL_WRONG), (other, good, SEAL_WRONG)):
        statement = f"{ENTER}; SELECT current_setting('app.user_id')" % quoted(claim(user, seal))
        # With row security off a query that a policy is about fails altogether.
        assert client.outcome(statement) in ({outcome, POLICY} if "row_security" in setting else {outcome})


# When it was last used.


def last_used(admin: Admin, user: User) -> float | None:
    """How many seconds ago, or None."""
    statement = "SELECT extract(epoch FROM now() - last_used_at)::float8 FROM app.personal_access_tokens WHERE user_id = %s"
    ((ago,),) = admin.execute(statement, user.id)
    return None if ago is None else float(ago)


def used(admin: Admin, user: User, seconds_ago: int) -> None:
    admin.execute(
        "UPDATE app.personal_access_tokens SET last_used_at = now() - make_interval(secs => %s) WHERE user_id = %s",
        seconds_ago,
        user.id,
    )


@pytest.mark.parametrize("scope", ["tasks:read", "tasks:write"])
def test_the_first_use_is_written_down(admin: Admin, owner: User, other: User, as_api: ActAs, scope: str) -> None:
    assert last_used(admin, owner) is None
    as_api(owner.holding(scope)).rows(TITLES)
    ago = last_used(admin, owner)
    assert ago is not None
    assert ago < 5
    assert last_used(admin, other) is None


@pytest.mark.parametrize(("before", "written"), [(30, False), (58, False), (61, True), (100_000, True)])
def test_a_later_use_is_written_down_once_a_minute(
    admin: Admin, owner: User, as_api: ActAs, before: int, written: bool
) -> None:
    used(admin, owner, before)
    as_api(owner.holding("tasks:read")).rows(TITLES)
    ago = last_used(admin, owner)
    assert ago is not None
    assert (ago < before - 5) == written


def test_a_use_that_is_refused_is_not_written_down(admin: Admin, owner: User, as_api: ActAs) -> None:
    only(admin, owner, "tasks:read")
    assert as_api(owner.holding("lists:read")).outcome(TITLES) == SCOPE_MISSING
    assert last_used(admin, owner) is None


@pytest.fixture
def held(cluster: Cluster, owner: User) -> Iterator[None]:
    """Somebody else is about to write to the row of the token, or to revoke it."""
    with closing(psycopg2.connect(cluster.admin_url)) as conn, conn.cursor() as cur:
        cur.execute("SELECT FROM app.personal_access_tokens WHERE user_id = %s FOR UPDATE", (owner.id,))
        yield


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("scope", ["tasks:read", "tasks:write"])
def test_a_use_waits_for_nobody(admin: Admin, owner: User, as_api: ActAs, scope: str) -> None:
    client = as_api(owner.holding(scope))
    client.connection.cursor().execute("SET lock_timeout = '1ms'")
    assert client.rows(TITLES) == [(owner.secret,)]
    assert last_used(admin, owner) is None


def test_where_nothing_can_be_written_a_token_still_reads(owner: User, as_api: ActAs) -> None:
    # A server that is out of space, for one, may be set to this.
    client = as_api(owner.holding("tasks:read"))
    assert client.rows("SET default_transaction_read_only = on") == []
    assert client.rows(TITLES) == [(owner.secret,)]
