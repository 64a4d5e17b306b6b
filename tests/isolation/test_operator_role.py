"""What injected SQL reaches on accounts and sessions beyond the grid: by expressions, by RETURNING, after a session's end.

test_grid.py has every command of every role, test_catalogue.py every column, test_roles.py what log-ins reach.
"""

from typing import Any
from uuid import uuid4

import pytest
from conftest import Admin

from isolation.conftest import A_HASH, NOT_GRANTED, ActAs, SqlClient, Stray, User, in_the_trash
from taskapp.database.identity import PasswordVerified


@pytest.fixture
def operator(stray: Stray) -> SqlClient:
    """Whoever has the operator's password and psql."""
    return stray("taskapp_operator")


def revoke(admin: Admin, user: User) -> None:
    admin.execute("UPDATE app.sessions SET revoked_at = now() WHERE id = %s", user.session_id)


def live(admin: Admin, user: User) -> Any:
    ((is_live,),) = admin.execute("SELECT revoked_at IS NULL FROM app.sessions WHERE id = %s", user.session_id)
    return is_live


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password_hash FROM app.users",
        "SELECT * FROM app.users",
        "SELECT u FROM app.users u",
        "SELECT 1 FROM app.users WHERE password_hash LIKE '$argon2id$%%'",
        "SELECT 1 FROM app.users ORDER BY password_hash",
        "UPDATE app.users SET password_hash = password_hash",
        "UPDATE app.users SET disabled_at = now() RETURNING password_hash",
        "UPDATE app.users SET disabled_at = now() WHERE password_hash > 'x'",
        "SELECT * FROM app.users FOR UPDATE",
    ],
)
def test_an_operator_cannot_read_a_hash(operator: SqlClient, owner: User, statement: str) -> None:
    assert operator.outcome(statement) == NOT_GRANTED


def test_an_operator_cannot_read_anything_of_a_task_but_whose_it_is_and_how_long_in_the_trash(
    operator: SqlClient, admin: Admin, owner: User
) -> None:
    in_the_trash(admin, owner, 31)
    columns = [
        name
        for (name,) in admin.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'app.tasks'::regclass AND attnum > 0 AND NOT attisdropped"
        )
    ]
    told = {column: operator.outcome(f"SELECT {column} FROM app.tasks") for column in columns}
    assert told == dict.fromkeys(columns, NOT_GRANTED) | dict.fromkeys(("user_id", "id", "deleted_at"), 1)


def test_an_operator_sees_every_accounts_metadata(operator: SqlClient, owner: User, other: User) -> None:
    seen = operator.rows("SELECT user_id::text, email FROM app.users ORDER BY email")
    assert seen == [(owner.id, owner.email), (other.id, other.email)]


def test_an_operator_makes_an_account_for_the_identity_it_is_for(as_operator: ActAs, admin: Admin) -> None:
    new = uuid4()
    statement = "INSERT INTO app.users (email, password_hash) VALUES ('eve@example.com', %(hash)s)"
    assert as_operator(PasswordVerified(new)).outcome(statement, {"hash": A_HASH}) == 1
    assert admin.execute("SELECT user_id::text FROM app.users") == [(str(new),)]


def test_a_user_cannot_bring_back_a_session_of_anybody_else(as_api: ActAs, admin: Admin, owner: User, other: User) -> None:
    revoke(admin, other)
    statement = "UPDATE app.sessions SET revoked_at = NULL WHERE id = %(id)s"
    assert as_api(owner.signed_in).outcome(statement, {"id": other.session_id}) == 0
    assert live(admin, other) is False


def test_a_user_cannot_bring_back_a_session_of_their_own(as_api: ActAs, admin: Admin, owner: User) -> None:
    ended = str(uuid4())
    admin.execute(
        "INSERT INTO app.sessions (user_id, id, expires_at, revoked_at) VALUES (%s, %s, now() + interval '1 day', now())",
        owner.id,
        ended,
    )
    as_api(owner.signed_in).outcome("UPDATE app.sessions SET revoked_at = NULL WHERE id = %(id)s", {"id": ended})
    assert admin.execute("SELECT revoked_at IS NULL FROM app.sessions WHERE id = %s", ended) == [(False,)]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM app.personal_access_tokens RETURNING name",
        "DELETE FROM app.personal_access_tokens WHERE digest = sha256('x')",
    ],
)
def test_an_operator_learns_nothing_of_an_access_token_by_deleting_it(
    operator: SqlClient, admin: Admin, owner: User, statement: str
) -> None:
    assert operator.outcome(statement) == NOT_GRANTED
    assert admin.execute("SELECT user_id FROM app.personal_access_tokens") == [(owner.id,)]
