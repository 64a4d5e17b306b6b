"""Identities that are not one's own: claimed by injected SQL, or by whoever knows the password of a login role."""

import hmac
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from conftest import Admin, Cluster

from isolation.conftest import POLICY, ActAs, Stray, User, rows_of
from taskapp.database.identity import Anonymous
from taskapp.database.signature import SEAL_SECONDS, SealKey, bearer_subject, login_subject, proven_subject
from taskapp.isolation.signature_keys import install_key

SEAL_WRONG = "TA002"

CLAIM = (
    "SELECT set_config('app.user_id', %(user)s, true), set_config('app.purpose', %(purpose)s, true),"
    " set_config('app.user_seal', %(seal)s, true); "
)
CLAIM_LOGIN = "SELECT set_config('app.login_email', %(email)s, true), set_config('app.login_seal', %(seal)s, true); "
ENTER = "SELECT app.enter_session(%(user)s, %(session)s, %(seal)s, false)"
PROVEN = "SELECT app.enter_password_verified(%(user)s, %(seal)s)"


# SQL injected behind an honest identity, in the same message, claims to be somebody else.


def test_a_claim_injected_into_a_message_makes_its_author_nobody(owner: User, other: User, as_api: ActAs) -> None:
    before_and_after = as_api(other.signed_in).rows(
        "SELECT set_config('probe.before', string_agg(title, ','), true) FROM app.tasks;"
        "SELECT set_config('app.user_id', %s, true);"
        "SELECT current_setting('probe.before'), count(*) FROM app.tasks",
        owner.id,
    )
    assert before_and_after == [(other.secret, 0)]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE app.tasks SET title = 'forged'", 0),
        ("DELETE FROM app.tasks", 0),
        ("INSERT INTO app.tasks (id, title) VALUES (gen_random_uuid(), 'forged')", POLICY),
    ],
    ids=["update", "delete", "insert"],
)
def test_a_claim_injected_into_a_message_changes_nothing(
    admin: Admin, owner: User, other: User, as_api: ActAs, statement: str, expected: object
) -> None:
    before = rows_of(admin, owner.id), rows_of(admin, other.id)
    forged = "SELECT set_config('app.user_id', %(victim)s, true); " + statement
    assert as_api(other.signed_in).outcome(forged, {"victim": owner.id}) == expected
    assert (rows_of(admin, owner.id), rows_of(admin, other.id)) == before


@pytest.mark.parametrize(
    "statement",
    [
        "WITH claim AS MATERIALIZED (SELECT set_config('app.user_id', %s, true)) SELECT title FROM claim, app.tasks",
        "SELECT title FROM app.tasks WHERE set_config('app.user_id', %s, true) <> ''",
        "SELECT title FROM (SELECT set_config('app.user_id', %s, true) OFFSET 0) AS claim, LATERAL (TABLE app.tasks) AS t",
        "SET LOCAL app.user_id = %s; SELECT title FROM app.tasks",
    ],
    ids=["cte", "condition", "lateral", "set local"],
)
def test_a_claim_injected_into_a_statement_shows_no_row_of_another(
    owner: User, other: User, as_api: ActAs, statement: str
) -> None:
    # Whether the claim or the policy is evaluated first depends on the plan; neither order may show the owner's row.
    assert (owner.secret,) not in as_api(other.signed_in).rows(statement, owner.id)


# What other projects' policies look at, besides whatever the functions here read.
SWITCHES = {"app.bypass", "app.is_admin", "app.role", "rls.bypass_rls", "request.jwt.claims"}
READS_A_SETTING = r"current_setting\('([^']+)'"


def test_b19b_no_setting_opens_anything(admin: Admin, owner: User, other: User, as_api: ActAs) -> None:
    read = admin.execute(
        "SELECT DISTINCT found[1] FROM ("
        " SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace::regnamespace::text LIKE 'app%%'"
        " UNION ALL SELECT concat(qual, with_check) FROM pg_policies"
        ") AS source (code), regexp_matches(code, %s, 'g') AS found",
        READS_A_SETTING,
    )
    settings = {name for (name,) in read if "." in name}
    assert settings >= {"app.user_id", "app.user_seal", "app.purpose", "app.login_email", "app.ticket", "app.ticket_lookup"}
    for who, own in ((other.signed_in, [(other.secret,)]), (Anonymous(), [])):
        for setting in settings | SWITCHES:
            for value in ("on", "true", "1", "*", owner.id, owner.email, '{"role": "service_role"}'):
                seen = as_api(who).rows("SELECT set_config(%s, %s, true); SELECT title FROM app.tasks", setting, value)
                # Whoever claims something may lose what is theirs.
                assert seen in (own, []), (setting, value)


# Claims that come with a seal, by somebody who knows a password of taskapp_api and nothing else.


class Forgery(NamedTuple):
    """Of what a forger has: a seal of their own, an old one of the owner's, and time."""

    key: SealKey
    owner: User
    other: User
    now: float
    subject: str

    def altered(self, key_id: str | None = None, expiry: str | None = None, mac: str | None = None) -> str:
        """A good seal of the owner's, with a part exchanged."""
        parts = self.key.seal(self.subject, self.now).split(".")
        return ".".join(mine if mine is not None else part for mine, part in zip((key_id, expiry, mac), parts, strict=True))

    def mac(self) -> str:
        return self.altered().split(".")[2]


SEALS: dict[str, Callable[[Forgery], str | None]] = {
    "missing": lambda _: None,
    "empty": lambda _: "",
    "three empty parts": lambda _: "..",
    "no parts": lambda _: "forged",
    "not ascii": lambda _: "ключ.1.é",
    "very long": lambda _: "x" * 100_000,
    "quoted": lambda _: "'; SELECT 1 --",
    "somebody else's own": lambda f: f.key.seal(f.subject.replace(f.owner.id, f.other.id), f.now),
    "of the user's id alone, as it was before": lambda f: f.key.seal(f.owner.id, f.now),
    "of a log-in": lambda f: f.key.seal(login_subject("taskapp_api", f.owner.id), f.now),
    "of the owner's log-in": lambda f: f.key.seal(login_subject("taskapp_auth", f.owner.email), f.now),
    "of a claim to have the owner's token": lambda f: f.key.seal(
        bearer_subject("taskapp_api", f.owner.id, bytes(32)), f.now
    ),
    "expired": lambda f: f.key.seal(f.subject, f.now - SEAL_SECONDS - 1),
    "expiry extended": lambda f: f.altered(expiry=str(int(f.now) + 3600)),
    "expiry missing": lambda f: f.altered(expiry=""),
    "expiry a word": lambda f: f.altered(expiry="infinity"),
    "expiry with a blank": lambda f: f.altered(expiry=f" {int(f.now) + SEAL_SECONDS}"),
    "expiry beyond every number": lambda f: f.altered(expiry="9" * 30),
    "expiry in digits of another script": lambda f: f.altered(expiry="\u0663" * 10),
    "key id of no key": lambda f: f.altered(key_id="no-such-key"),
    "key id missing": lambda f: f.altered(key_id=""),
    "key id a pattern": lambda f: f.altered(key_id="%"),
    "wrong key, right id": lambda f: SealKey(f.key.key_id, bytes(32)).seal(f.subject, f.now),
    "wrong key, foreign id": lambda f: SealKey("mallory", bytes(32)).seal(f.subject, f.now),
    "mac missing": lambda f: f.altered(mac=""),
    "mac cut short": lambda f: f.altered(mac=f.mac()[:-2]),
    "mac too long": lambda f: f.altered(mac=f.mac() + "00"),
    "mac in capitals": lambda f: f.altered(mac=f.mac().upper()),
    "a good one with a fourth part": lambda f: f.altered() + ".",
    "a good one with something behind": lambda f: f.altered() + "\n",
    "a good one with something in front": lambda f: " " + f.altered(),
    "mac altered at its start": lambda f: f.altered(mac=f"{int(f.mac()[0], 16) ^ 1:x}{f.mac()[1:]}"),
    "mac altered at its end": lambda f: f.altered(mac=f"{f.mac()[:-1]}{int(f.mac()[-1], 16) ^ 1:x}"),
    "mac without a key": lambda f: f.altered(mac=hmac.digest(b"", f.subject.encode(), "sha256").hex()),
}
seals = pytest.mark.parametrize("seal", SEALS.values(), ids=SEALS)


@pytest.fixture
def forgery(seal_key: SealKey, owner: User, other: User) -> Forgery:
    return Forgery(seal_key, owner, other, time.time(), owner.session_in("taskapp_api"))


def test_a_good_seal_shows_the_owners_row(forgery: Forgery, stray: Stray) -> None:
    """Without this, the refusals below could have any reason."""
    claim = {"user": forgery.owner.id, "purpose": forgery.owner.purpose, "seal": forgery.altered()}
    assert stray("taskapp_api").outcome(CLAIM + "SELECT title FROM app.tasks", claim) == 1


@seals
def test_a_seal_that_is_not_good_shows_nothing(
    forgery: Forgery, stray: Stray, seal: Callable[[Forgery], str | None]
) -> None:
    claim = {"user": forgery.owner.id, "purpose": forgery.owner.purpose, "seal": seal(forgery)}
    assert stray("taskapp_api").outcome(CLAIM + "SELECT title FROM app.tasks", claim) == 0


def test_a_good_seal_enters(forgery: Forgery, stray: Stray) -> None:
    """Without this, the refusals below could have any reason."""
    for role in ("taskapp_api", "taskapp_auth"):
        seal = forgery._replace(subject=forgery.owner.session_in(role)).altered()
        claim = {"user": forgery.owner.id, "session": forgery.owner.session_id, "seal": seal}
        assert stray(role).outcome(ENTER, claim) == 1
    for role in ("taskapp_auth", "taskapp_operator"):
        seal = forgery._replace(subject=forgery.owner.proven_in(role)).altered()
        assert stray(role).outcome(PROVEN, {"user": forgery.owner.id, "seal": seal}) == 1


@seals
def test_a_seal_that_is_not_good_does_not_enter(
    forgery: Forgery, stray: Stray, seal: Callable[[Forgery], str | None]
) -> None:
    for role in ("taskapp_api", "taskapp_auth"):
        wrong = seal(forgery._replace(subject=forgery.owner.session_in(role)))
        claim = {"user": forgery.owner.id, "session": forgery.owner.session_id, "seal": wrong}
        assert stray(role).outcome(ENTER, claim) == SEAL_WRONG


@seals
def test_a_seal_that_is_not_good_does_not_prove_a_user(
    forgery: Forgery, stray: Stray, seal: Callable[[Forgery], str | None]
) -> None:
    for role in ("taskapp_auth", "taskapp_operator"):
        claim = {"user": forgery.owner.id, "seal": seal(forgery._replace(subject=forgery.owner.proven_in(role)))}
        assert stray(role).outcome(PROVEN, claim) == SEAL_WRONG


@pytest.mark.parametrize("user", ["", "nobody", "00000000-0000-0000-0000-000000000000", "' OR true --"])
def test_a_claim_to_be_no_user_shows_nothing(forgery: Forgery, stray: Stray, user: str) -> None:
    claim = {"user": user, "purpose": forgery.owner.purpose, "seal": forgery.altered()}
    assert stray("taskapp_api").outcome(CLAIM + "SELECT title FROM app.tasks", claim) == 0


def test_a_claim_without_a_seal_at_all_shows_nothing(owner: User, stray: Stray) -> None:
    # A fresh connection on which no setting was ever made: they read NULL and not ''.
    claim = {"user": owner.id}
    forged = "SELECT set_config('app.user_id', %(user)s, true); SELECT title FROM app.tasks"
    assert stray("taskapp_api").outcome(forged, claim) == 0


LOGIN_SEALS: dict[str, Callable[[Forgery], str | None]] = {
    "missing": lambda _: None,
    "empty": lambda _: "",
    "of another address": lambda f: f.key.seal(login_subject("taskapp_auth", f.other.email), f.now),
    "of the user": lambda f: f.key.seal(f.owner.proven_in("taskapp_auth"), f.now),
    "of the address as a user": lambda f: f.key.seal(proven_subject("taskapp_auth", f.owner.email), f.now),
    "of the address alone": lambda f: f.key.seal(f.owner.email, f.now),
    "of the address without a role": lambda f: f.key.seal(f"login:{f.owner.email}", f.now),
    "for another role": lambda f: f.key.seal(login_subject("taskapp_api", f.owner.email), f.now),
    "expired": lambda f: f.key.seal(login_subject("taskapp_auth", f.owner.email), f.now - SEAL_SECONDS - 1),
    "wrong key, right id": lambda f: SealKey(f.key.key_id, bytes(32)).seal(
        login_subject("taskapp_auth", f.owner.email), f.now
    ),
}
login_seals = pytest.mark.parametrize("seal", LOGIN_SEALS.values(), ids=LOGIN_SEALS)


def test_a_good_log_in_seal_shows_the_account(forgery: Forgery, stray: Stray) -> None:
    """Without this, the refusals below could have any reason."""
    seal = forgery.key.seal(login_subject("taskapp_auth", forgery.owner.email), forgery.now)
    claim = {"email": forgery.owner.email, "seal": seal}
    assert stray("taskapp_auth").outcome(CLAIM_LOGIN + "SELECT email FROM app.users", claim) == 1


@login_seals
def test_a_log_in_seal_that_is_not_good_shows_no_account(
    forgery: Forgery, stray: Stray, seal: Callable[[Forgery], str | None]
) -> None:
    claim = {"email": forgery.owner.email, "seal": seal(forgery)}
    assert stray("taskapp_auth").outcome(CLAIM_LOGIN + "SELECT email FROM app.users", claim) == 0


@login_seals
def test_a_log_in_seal_that_is_not_good_does_not_enter(
    forgery: Forgery, stray: Stray, seal: Callable[[Forgery], str | None]
) -> None:
    claim = {"email": forgery.owner.email, "seal": seal(forgery)}
    assert stray("taskapp_auth").outcome("SELECT app.enter_login(%(email)s, %(seal)s)", claim) == SEAL_WRONG


def test_a_log_in_seal_is_no_users_seal(forgery: Forgery, stray: Stray) -> None:
    # An address may contain colons, and end like the claim of another user.
    victim = forgery.owner.id
    for address, purpose, user in (
        (forgery.owner.email, f"login:taskapp_api:{forgery.owner.email}", victim),
        (f"a@b:{victim}", "login", victim),
        (f"a@b:{victim}", "login:taskapp_api:a@b", victim),
        (f"a@session:{forgery.owner.session_id}:taskapp_api:{victim}", forgery.owner.purpose, victim),
        (f"a@proven:taskapp_api:{victim}", "proven", victim),
    ):
        for role in ("taskapp_api", "taskapp_auth"):
            seal = forgery.key.seal(login_subject(role, address), forgery.now)
            for claimed in (user, address, login_subject(role, address)):
                claim = {"user": claimed, "purpose": purpose, "seal": seal}
                assert stray(role).outcome(CLAIM + "SELECT FROM app.users", claim) == 0


# Keys.


@pytest.fixture
def install(admin: Admin) -> Iterator[Callable[[SealKey, str], None]]:
    """Install keys as an administrator, for the length of a test."""
    installed = []

    def insert(key: SealKey, not_after: str) -> None:
        admin.execute(
            "INSERT INTO app_private.keys (key_id, inner_pad, outer_pad, not_after)"
            " VALUES (%s, %s, %s, now() + %s::interval)",
            key.key_id,
            *key.pads(),
            not_after,
        )
        installed.append(key.key_id)

    yield insert
    for key_id in installed:
        admin.execute("DELETE FROM app_private.keys WHERE key_id = %s", key_id)


Install = Callable[[SealKey, str], None]
SEAL_HOLDS = "SELECT app_private.verify_seal(%s, %s)"


@pytest.mark.parametrize("length", [1, 16, 32, 63, 64])
def test_the_database_computes_the_same_hmac_as_python(admin: Admin, install: Install, length: int) -> None:
    key = SealKey("length-test", bytes(range(200, 200 - length, -1)))
    install(key, "1 hour")
    seal = key.seal("Ünicode subject", time.time())
    assert admin.execute(SEAL_HOLDS, "Ünicode subject", seal) == [(True,)]
    assert admin.execute(SEAL_HOLDS, "Unicode subject", seal) == [(False,)]


def test_the_seal_is_the_hmac_sha256_of_subject_and_expiry() -> None:
    expected = hmac.new(b"secret", b"subject.1060", "sha256").hexdigest()
    assert SealKey("id", b"secret").seal("subject", 1000.9) == f"id.1060.{expected}"


def test_two_keys_are_good_at_a_time(forgery: Forgery, install: Install, stray: Stray) -> None:
    new = SealKey("new-key", bytes(range(32)))
    install(new, "1 hour")
    client = stray("taskapp_api")
    for key in (forgery.key, new):
        seal = key.seal(forgery.subject, forgery.now)
        claim = {"user": forgery.owner.id, "purpose": forgery.owner.purpose, "seal": seal}
        assert client.outcome(CLAIM + "SELECT title FROM app.tasks", claim) == 1


def test_a_key_that_was_retired_is_good_no_longer(forgery: Forgery, install: Install, stray: Stray) -> None:
    old = SealKey("old-key", bytes(range(32)))
    install(old, "-1 second")
    seal = old.seal(forgery.subject, forgery.now)
    claim = {"user": forgery.owner.id, "purpose": forgery.owner.purpose, "seal": seal}
    assert stray("taskapp_api").outcome(CLAIM + "SELECT title FROM app.tasks", claim) == 0


def test_a_key_replaced_under_its_id_is_good_no_longer(
    admin: Admin, cluster: Cluster, forgery: Forgery, install: Install, stray: Stray
) -> None:
    old = SealKey("a-key", bytes(range(32)))
    install(old, "1 hour")
    install_key(cluster.url("taskapp_migrator"), SealKey("a-key", bytes(32)))
    seal = old.seal(forgery.subject, forgery.now)
    claim = {"user": forgery.owner.id, "purpose": forgery.owner.purpose, "seal": seal}
    assert stray("taskapp_api").outcome(CLAIM + "SELECT title FROM app.tasks", claim) == 0
