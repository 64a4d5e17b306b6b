"""Access tokens: exactly the ones we issued, for as long as they and their session last. All others get one answer."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import expect
import jwt
import pytest
from arrange import token_of
from conftest import Admin, Cluster, Person
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from flask import Flask

from taskapp.web.authentication import access_token
from taskapp.web.authentication.access_token import access_tokens
from taskapp.web.responses.problems import Problem

SIGNED_BY_US = {"alg": "ES256", "typ": "at+jwt"}


class Forge:
    """Makes tokens with our own key, to see what is checked besides the signature."""

    def __init__(self, genuine: str, pem: str) -> None:
        key = load_pem_private_key(pem.encode(), password=None)
        assert isinstance(key, EllipticCurvePrivateKey)
        self.key = key
        self.genuine = genuine
        self.header: dict[str, Any] = jwt.get_unverified_header(genuine)
        self.claims: dict[str, Any] = jwt.decode(genuine, options={"verify_signature": False})

    def token(self, header: dict[str, Any] | None = None, key: Any = None, **claims: Any) -> str:
        """Sign the genuine claims with changes; a value of ... leaves that one out."""
        merged = {name: value for name, value in {**self.claims, **claims}.items() if value is not ...}
        headers = {name: value for name, value in {**self.header, **(header or {})}.items() if value is not ...}
        return jwt.encode(merged, key or self.key, algorithm="ES256", headers=headers)

    def unsigned(self, header: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
        signed = ".".join(encode(json.dumps(part).encode()) for part in ({**self.header, **header}, self.claims))
        return f"{signed}.{encode(sign(signed.encode()))}"

    @property
    def public_pem(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture
def forge(alice: Person, cluster: Cluster) -> Forge:
    """Alice's token, and what can be made of it."""
    return Forge(token_of(alice), cluster.environment["TASKAPP_JWT_PRIVATE_KEY"])


@pytest.fixture
def idle_forge(app: Flask, cluster: Cluster) -> Forge:
    """A token of somebody without an account: it is refused only once the database is asked."""
    return Forge(token_of(expect.somebody(app)), cluster.environment["TASKAPP_JWT_PRIVATE_KEY"])


def alter_payload(forge: Forge) -> str:
    header, _, signature = forge.genuine.split(".")
    claims = {**forge.claims, "sub": "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"}
    return f"{header}.{encode(json.dumps(claims).encode())}.{signature}"


FORGERIES: dict[str, Callable[[Forge], str]] = {
    "garbage": lambda _: "garbage",
    "three dots": lambda _: "...",
    "not ASCII": lambda _: "ä.ö.ü",
    "a NUL": lambda _: "a\x00b.c.d",
    "two tokens": lambda forge: f"{forge.genuine} {forge.genuine}",
    "a comma and more": lambda forge: f"{forge.genuine}, Bearer x",
    "a header of 4,000 brackets": lambda _: encode(b"[" * 4_000) + ".e30.e30",
    "a header of nested objects": lambda _: encode(b'{"a":' * 900 + b"1" + b"}" * 900) + ".e30.e30",
    "a payload of 4,000 brackets": lambda forge: forge.genuine.split(".")[0] + "." + encode(b"[" * 4_000) + ".e30",
    "a header that is a list": lambda _: encode(b"[]") + ".e30.e30",
    "a header of a huge number": lambda _: encode(b'{"alg": ' + b"9" * 4_500 + b"}") + ".e30.e30",
    "a signature cut short": lambda forge: forge.genuine[:-2],
    "no signature": lambda forge: forge.genuine.rpartition(".")[0] + ".",
    "an altered payload": alter_payload,
    "algorithm none": lambda forge: forge.unsigned({"alg": "none"}, lambda _: b""),
    "algorithm None": lambda forge: forge.unsigned({"alg": "None"}, lambda _: b""),
    "no algorithm": lambda forge: forge.unsigned({"alg": None}, lambda _: b""),
    "HS256 with the public key": lambda forge: forge.unsigned(
        {"alg": "HS256"}, lambda text: hmac.digest(forge.public_pem, text, "sha256")
    ),
    "an empty signature": lambda forge: forge.unsigned(SIGNED_BY_US, lambda _: bytes(64)),
    "a foreign key": lambda forge: forge.token(key=ec.generate_private_key(ec.SECP256R1())),
    "a foreign key in the header": lambda forge: forge.token(
        header={"jwk": {"kty": "EC", "crv": "P-256"}, "jku": "http://127.0.0.1:9/keys"},
        key=ec.generate_private_key(ec.SECP256R1()),
    ),
    "typ JWT": lambda forge: forge.token(header={"typ": "JWT"}),
    "typ of another case": lambda forge: forge.token(header={"typ": "AT+JWT"}),
    "no typ": lambda forge: forge.token(header={"typ": None}),
    "another kid": lambda forge: forge.token(header={"kid": "another"}),
    "no kid": lambda forge: forge.token(header={"kid": ...}),
    "no exp": lambda forge: forge.token(exp=...),
    "expired a second ago": lambda forge: forge.token(exp=int(time.time()) - 1),
    "expired long ago": lambda forge: forge.token(exp=1),
    "an exp that is a word": lambda forge: forge.token(exp="tomorrow"),
    "no iat": lambda forge: forge.token(iat=...),
    "an iat that is a word": lambda forge: forge.token(iat="yesterday"),
    "issued in the future": lambda forge: forge.token(iat=int(time.time()) + 60),
    "valid in the future": lambda forge: forge.token(nbf=int(time.time()) + 60),
    "no aud": lambda forge: forge.token(aud=...),
    "another aud": lambda forge: forge.token(aud="another"),
    "aud as a list": lambda forge: forge.token(aud=["taskapp"]),
    "our aud among others": lambda forge: forge.token(aud=["taskapp", "another"]),
    "no iss": lambda forge: forge.token(iss=...),
    "another iss": lambda forge: forge.token(iss="another"),
    "no sub": lambda forge: forge.token(sub=...),
    "a sub that is no UUID": lambda forge: forge.token(sub="alice@example.com"),
    "an empty sub": lambda forge: forge.token(sub=""),
    "no sid": lambda forge: forge.token(sid=...),
    "a sid that is no UUID": lambda forge: forge.token(sid="17"),
    "a sid that is a number": lambda forge: forge.token(sid=17),
    "a sid that is null": lambda forge: forge.token(sid=None),
    "a user and a session that never were": lambda forge: forge.genuine,
}


def test_a_token_of_ours_is_accepted_as_the_forge_would_make_it(anonymous: Person, forge: Forge) -> None:
    # Otherwise every forgery below could be refused for the same wrong reason.
    assert anonymous.get("/v1/me", headers={"Authorization": f"Bearer {forge.token()}"}).status_code == 200


@pytest.mark.parametrize("claim", ["sub", "sid"])
def test_a_user_or_a_session_that_never_was_is_refused(anonymous: Person, forge: Forge, claim: str) -> None:
    never_was: dict[str, Any] = {claim: "0198f3c2-7b1e-7c55-9a3e-5b1f6f0a9d11"}
    token = forge.token(**never_was)
    expect.problem(anonymous.get("/v1/me", headers={"Authorization": f"Bearer {token}"}), 401, "invalid_token")


def test_no_forgery_gets_as_far_as_the_database(app: Flask, idle_forge: Forge) -> None:
    # They are all refused in the end, because nobody has an account here; so this is what tells them apart.
    accepted = []
    with app.app_context():
        for name, make in FORGERIES.items():
            with suppress(Problem):
                access_tokens().verify(make(idle_forge))
                accepted.append(name)
    assert accepted == ["a user and a session that never were"]


@pytest.mark.parametrize("make", FORGERIES.values(), ids=FORGERIES)
def test_f13_f14_every_other_token_gets_the_same_answer(
    anonymous: Person, idle_forge: Forge, make: Callable[[Forge], str]
) -> None:
    header = f"Bearer {make(idle_forge)}".encode().decode("latin-1")
    body = expect.problem(anonymous.get("/v1/me", headers={"Authorization": header}), 401, "invalid_token")
    assert {name: value for name, value in body.items() if name != "request_id"} == {
        "type": "/problems/invalid-token",
        "title": "Invalid token",
        "status": 401,
        "detail": "The token is malformed, expired or revoked, or its session has ended.",
        "instance": "/v1/me",
        "code": "invalid_token",
    }


def test_one_users_session_is_no_session_of_another(anonymous: Person, forge: Forge, bob: Person) -> None:
    response = anonymous.get("/v1/me", headers={"Authorization": f"Bearer {forge.token(sub=bob.id)}"})
    expect.problem(response, 401, "invalid_token")


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE app.sessions SET revoked_at = now()",
        "UPDATE app.sessions SET created_at = '-infinity', expires_at = now()",
        "DELETE FROM app.sessions",
        "DELETE FROM app.users",
    ],
)
def test_f16_a_token_ends_with_its_session(alice: Person, admin: Admin, end: str) -> None:
    assert alice.get("/v1/me").status_code == 200
    admin.execute(end)
    expect.problem(alice.get("/v1/me"), 401, "invalid_token")


@pytest.mark.parametrize("header", [None, "", "Basic YWxpY2U6eA==", "Bearer", "Bearer ", "Token x", "bearer"])
def test_without_a_token_one_is_asked_for(anonymous: Person, header: str | None) -> None:
    response = anonymous.get("/v1/me", headers={} if header is None else {"Authorization": header})
    expect.problem(response, 401, "missing_token")


def test_the_scheme_is_read_without_regard_to_case(anonymous: Person, forge: Forge) -> None:
    assert anonymous.get("/v1/me", headers={"Authorization": f"bEARER {forge.genuine}"}).status_code == 200


def test_f17_a_token_in_the_query_is_not_looked_at(anonymous: Person, forge: Forge) -> None:
    query = {"access_token": forge.genuine, "jwt": forge.genuine, "Authorization": f"Bearer {forge.genuine}"}
    expect.problem(anonymous.get("/v1/me", query_string=query), 401, "missing_token")


def test_f17_a_token_in_the_body_is_not_looked_at(anonymous: Person, forge: Forge) -> None:
    body = {"title": "x", "access_token": forge.genuine}
    expect.problem(anonymous.post("/v1/tasks", body), 401, "missing_token")


def test_a_token_in_a_form_is_not_looked_at(anonymous: Person, forge: Forge) -> None:
    expect.problem(anonymous.post("/v1/tasks", data={"access_token": forge.genuine}), 401, "missing_token")


def test_a_token_in_a_cookie_is_not_looked_at(anonymous: Person, forge: Forge) -> None:
    anonymous.client.set_cookie("access_token_cookie", forge.genuine)
    expect.problem(anonymous.get("/v1/me"), 401, "missing_token")


def test_the_header_names_type_algorithm_and_key_only(forge: Forge) -> None:
    assert set(forge.header) == {"typ", "alg", "kid"}
    assert (forge.header["typ"], forge.header["alg"]) == ("at+jwt", "ES256")


def test_the_kid_is_made_of_the_public_key(forge: Forge) -> None:
    # RFC 7638 section 3.2: the required members in the order of their names, without a blank.
    point = forge.key.public_key().public_numbers()
    x, y = encode(point.x.to_bytes(32)), encode(point.y.to_bytes(32))
    members = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    assert forge.header["kid"] == encode(hashlib.sha256(members.encode()).digest())


def test_f12_the_claims_are_those_of_rfc_9068_and_the_session(forge: Forge, alice: Person, admin: Admin) -> None:
    assert {"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "sid"} <= set(forge.claims)
    assert (forge.claims["iss"], forge.claims["aud"], forge.claims["client_id"]) == ("taskapp", "taskapp", "taskapp")
    assert forge.claims["scope"] == "tasks:read tasks:write lists:read lists:write"
    assert forge.claims["sub"] == alice.id
    assert admin.execute("SELECT id::text FROM app.sessions") == [(forge.claims["sid"],)]


def test_f15_a_token_lives_ten_minutes(forge: Forge) -> None:
    assert forge.claims["exp"] - forge.claims["iat"] == 600
    assert abs(forge.claims["iat"] - time.time()) < 60


def test_f12_a_token_holds_nothing_personal(forge: Forge) -> None:
    assert "alice" not in json.dumps(forge.claims)


def test_two_tokens_are_never_the_same(alice: Person, forge: Forge) -> None:
    credentials = {"email": "alice@example.com", "password": "correct horse battery"}
    tokens = [alice.post("/v1/auth/login", credentials).get_json()["tokens"]["access_token"] for _ in range(2)]
    claims = [jwt.decode(token, options={"verify_signature": False}) for token in (forge.genuine, *tokens)]
    assert len({claim["jti"] for claim in claims}) == len({claim["sid"] for claim in claims}) == 3


def test_a_token_that_was_accepted_before_expires_all_the_same(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    assert alice.get("/v1/me").status_code == 200
    later = time.time() + 601
    monkeypatch.setattr(access_token, "time", SimpleNamespace(time=lambda: later))
    expect.problem(alice.get("/v1/me"), 401, "invalid_token")


def test_a_token_that_was_accepted_before_is_not_verified_again(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    assert alice.get("/v1/me").status_code == 200
    monkeypatch.setattr(access_token, "decode_token", None)
    assert alice.get("/v1/me").status_code == 200


def test_the_memory_of_accepted_tokens_is_bounded(app: Flask, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_token, "_CACHED_TOKENS", 3)
    tokens = access_token.AccessTokens(app.config["TASKAPP"])
    with app.app_context():
        for number in range(10):
            tokens.verify(forge.token(jti=str(number)))
    assert tokens._verified.cache_info().currsize == 3


def test_refused_tokens_take_no_memory(app: Flask, forge: Forge) -> None:
    tokens = access_token.AccessTokens(app.config["TASKAPP"])
    with app.app_context():
        for number in range(10):
            with pytest.raises(Problem):
                tokens.verify(f"{forge.genuine}{number}")
    assert tokens._verified.cache_info().currsize == 0
