"""The keys of access tokens: published to verify with, replaced without logging anybody out (security.md F18)."""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import expect
import jwt
import pytest
from click.testing import Result
from conftest import PASSWORD, Admin, Person
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from flask import Flask

from taskapp import create_app
from taskapp.config import Config, ConfigError
from taskapp.database.databases import Databases
from taskapp.operations.jwt_key import jwt_key
from taskapp.services import service

Deploy = Callable[[str], Flask]


@pytest.fixture(autouse=True)
def _no_attempts(admin: Admin) -> None:
    admin.execute("TRUNCATE app.attempts")


@pytest.fixture
def deploy(cluster: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deploy]:
    """Start the application anew with a value of TASKAPP_JWT_PRIVATE_KEY."""
    started = []

    def start(value: str) -> Flask:
        monkeypatch.setenv("TASKAPP_JWT_PRIVATE_KEY", value)
        started.append(create_app(Config.from_environment()))
        return started[-1]

    yield start
    for app in started:
        service(Databases, app).dispose()


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(jwt_key, arguments)


def printed(app: Flask, step: str) -> str:
    """Do one step of a rotation; read the value it prints as a shell would."""
    result = run(app, step)
    assert result.exit_code == 0, result.output
    match = re.fullmatch(r"TASKAPP_JWT_PRIVATE_KEY='([^']+)'\n", result.stdout)
    assert match, "nothing but the assignment belongs on standard output"
    return match[1]


def log_in(app: Flask) -> str:
    body = {"email": "alice@example.com", "password": PASSWORD}
    response = app.test_client().post("/v1/auth/login", json=body)
    assert response.status_code == 200, response.text
    return str(response.get_json()["tokens"]["access_token"])


def accepts(app: Flask, token: str) -> bool:
    response = app.test_client().get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    if response.status_code != 200:
        expect.problem(response, 401, "invalid_token")
    return response.status_code == 200


def jwks(app: Flask) -> list[dict[str, str]]:
    response = app.test_client().get("/.well-known/jwks.json")
    assert response.status_code == 200
    keys: list[dict[str, str]] = response.get_json()["keys"]
    return keys


def kids(app: Flask) -> list[str]:
    return [key["kid"] for key in jwks(app)]


def signs(app: Flask) -> str:
    """Name the key the application signs with."""
    return str(jwt.get_unverified_header(log_in(app))["kid"])


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_the_keys_are_a_jwk_set(anonymous: Person) -> None:
    response = anonymous.get("/.well-known/jwks.json")
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert set(response.get_json()) == {"keys"}


def test_the_keys_may_be_kept_for_five_minutes(anonymous: Person) -> None:
    cache = anonymous.get("/.well-known/jwks.json").headers["Cache-Control"]
    assert "max-age=300" in cache.split(", ")
    assert "no-store" not in cache


def test_the_keys_are_there_without_a_database(app: Flask) -> None:
    nowhere = "postgresql://nobody:x@127.0.0.1:1/nowhere"
    alone = create_app(replace(app.config["TASKAPP"], database_url=nowhere, auth_database_url=nowhere))
    assert jwks(alone) == jwks(app)


def test_a_key_has_its_public_members_only(app: Flask) -> None:
    (key,) = jwks(app)
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")


def test_nothing_of_the_private_key_is_published(app: Flask, anonymous: Person) -> None:
    (pem,) = app.config["TASKAPP"].jwt_private_keys
    private = load_pem_private_key(pem.encode(), password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    number = private.private_numbers().private_value
    text = anonymous.get("/.well-known/jwks.json").text
    spellings = [unpadded(number.to_bytes(32, "big")), f"{number:x}", str(number), *pem.splitlines()]
    assert [spelling for spelling in spellings if spelling in text] == []


def test_a_key_is_named_by_its_thumbprint(app: Flask) -> None:
    (key,) = jwks(app)
    # RFC 7638 section 3.2: these members, in this order, without blanks.
    members = '{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}'.format(**key)
    assert key["kid"] == unpadded(hashlib.sha256(members.encode()).digest())


def test_the_coordinates_have_their_full_length(app: Flask, deploy: Deploy) -> None:
    # RFC 7518 section 6.2.1.2: leading zeros are not left out. One key in 128 has one.
    key = next(key for key in map(private_key, range(1, 1000)) if key.public_key().public_numbers().x < 2**248)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    (published,) = jwks(deploy(pem))
    assert (len(published["x"]), len(published["y"])) == (43, 43)


def private_key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


def test_a_third_party_can_verify_an_access_token_with_the_published_keys(app: Flask, alice: Person) -> None:
    token = log_in(app)
    published = jwt.PyJWKSet.from_dict({"keys": jwks(app)})
    key = published[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="taskapp", issuer="taskapp")
    assert claims["sub"] == alice.id


def test_a_third_party_is_told_of_an_altered_token(app: Flask, alice: Person) -> None:
    head, _, signature = log_in(app).split(".")
    claims = unpadded(json.dumps({"sub": "somebody", "aud": "taskapp"}).encode())
    key = jwt.PyJWK(dict(jwks(app)[0]))
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(f"{head}.{claims}.{signature}", key, algorithms=["ES256"], audience="taskapp")


def test_f18_adding_publishes_the_next_key_and_goes_on_signing_with_the_first(
    app: Flask, alice: Person, deploy: Deploy
) -> None:
    added = deploy(printed(app, "add"))
    assert len(kids(added)) == 2
    assert kids(added)[0] == kids(app)[0]
    assert signs(added) == signs(app)


def test_f18_promoting_signs_with_the_next_key_and_goes_on_publishing_the_old(
    app: Flask, alice: Person, deploy: Deploy
) -> None:
    added = deploy(printed(app, "add"))
    promoted = deploy(printed(added, "promote"))
    assert sorted(kids(promoted)) == sorted(kids(added))
    assert signs(promoted) == kids(added)[1]


def test_f18_retiring_leaves_the_key_that_signs(app: Flask, alice: Person, deploy: Deploy) -> None:
    promoted = deploy(printed(deploy(printed(app, "add")), "promote"))
    retired = deploy(printed(promoted, "retire"))
    assert kids(retired) == [signs(promoted)] == [signs(retired)]
    assert kids(retired) != kids(app)


def test_f18_a_token_of_one_state_is_accepted_in_the_states_next_to_it(app: Flask, alice: Person, deploy: Deploy) -> None:
    added = deploy(printed(app, "add"))
    promoted = deploy(printed(added, "promote"))
    retired = deploy(printed(promoted, "retire"))
    states = [app, added, promoted, retired]
    tokens = [log_in(state) for state in states]
    beside = [(of, at) for of in range(4) for at in range(4) if abs(of - at) <= 1]
    assert [(of, at) for of, at in beside if not accepts(states[at], tokens[of])] == []


def test_f18_after_retiring_the_old_key_s_tokens_are_refused(app: Flask, alice: Person, deploy: Deploy) -> None:
    added = deploy(printed(app, "add"))
    promoted = deploy(printed(added, "promote"))
    retired = deploy(printed(promoted, "retire"))
    assert [accepts(retired, log_in(state)) for state in (app, added)] == [False, False]


def test_f18_who_holds_a_refused_token_refreshes(app: Flask, alice: Person, deploy: Deploy) -> None:
    retired = deploy(printed(deploy(printed(deploy(printed(app, "add")), "promote")), "retire"))
    body = {"email": "alice@example.com", "password": PASSWORD}
    tokens = app.test_client().post("/v1/auth/login", json=body).get_json()["tokens"]
    assert not accepts(retired, tokens["access_token"])
    body = {"refresh_token": tokens["refresh_token"]}
    fresh = retired.test_client().post("/v1/auth/refresh", json=body).get_json()["tokens"]
    assert accepts(retired, fresh["access_token"])


def test_f18_a_rotation_can_follow_another(app: Flask, alice: Person, deploy: Deploy) -> None:
    seen = [app]
    for step in ("add", "promote", "retire", "add", "promote", "retire"):
        seen.append(deploy(printed(seen[-1], step)))
    assert len({signs(seen[0]), signs(seen[3]), signs(seen[6])}) == 3


def test_f18_the_next_key_is_another_each_time(app: Flask, deploy: Deploy) -> None:
    assert kids(deploy(printed(app, "add")))[1] != kids(deploy(printed(app, "add")))[1]


def test_f18_each_step_says_what_to_do_next_beside_the_value(app: Flask, deploy: Deploy) -> None:
    added = deploy(printed(app, "add"))
    promoted = deploy(printed(added, "promote"))
    said = [run(app, "add").stderr, run(added, "promote").stderr, run(promoted, "retire").stderr]
    assert [line.count("\n") for line in said] == [1, 1, 1]
    assert "flask jwt-key promote" in said[0]
    assert "flask jwt-key retire" in said[1]
    assert [line for line in said if "BEGIN" in line] == []


def test_f18_before_retiring_one_waits_for_the_old_key_s_last_token(app: Flask, deploy: Deploy) -> None:
    said = run(deploy(printed(app, "add")), "promote").stderr
    (minutes,) = map(int, re.findall(r"\d+", said))
    # Its lifetime, and the leeway that verifying allows.
    assert minutes * 60 >= app.config["TASKAPP"].access_token_seconds + 5


def failure(app: Flask, step: str) -> str:
    result = run(app, step)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("Error: ").rstrip()


def test_there_is_nothing_to_promote_before_a_key_was_added(app: Flask) -> None:
    assert failure(app, "promote") == "there is no next key: flask jwt-key add"


def test_there_is_nothing_to_retire_before_a_key_was_added(app: Flask) -> None:
    assert failure(app, "retire") == "there is no old key"


def test_a_third_key_is_not_added(app: Flask, deploy: Deploy) -> None:
    assert failure(deploy(printed(app, "add")), "add").startswith("there is a next key already")


@pytest.fixture
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKAPP_DATABASE_URL", "postgresql://taskapp_api:x@127.0.0.1/x")
    monkeypatch.setenv("TASKAPP_AUTH_DATABASE_URL", "postgresql://taskapp_auth:x@127.0.0.1/x")
    monkeypatch.setenv("TASKAPP_SEAL_KEY", "1:" + secrets.token_hex(32))
    monkeypatch.setenv("TASKAPP_REFRESH_KEYS", secrets.token_hex(32))


def pem_of(curve: ec.EllipticCurve) -> str:
    key: Any = ec.generate_private_key(curve)
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


@pytest.mark.usefixtures("no_cluster")
def test_f18_production_refuses_the_key_that_was_made_for_local_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKAPP_ENVIRONMENT", "production")
    monkeypatch.setenv("TASKAPP_JWT_PRIVATE_KEY", f"local, made by make run\n{pem_of(ec.SECP256R1())}")
    with pytest.raises(ConfigError, match="TASKAPP_JWT_PRIVATE_KEY") as refusal:
        Config.from_environment()
    assert "\n" not in str(refusal.value)


@pytest.mark.usefixtures("no_cluster")
def test_f18_local_use_accepts_the_key_that_was_made_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKAPP_ENVIRONMENT", "local")
    monkeypatch.setenv("TASKAPP_JWT_PRIVATE_KEY", f"local, made by make run\n{pem_of(ec.SECP256R1())}")
    assert len(Config.from_environment().jwt_private_keys) == 1


def test_f18_production_refuses_the_local_key_after_a_rotation_too(
    app: Flask, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = deploy(f"local, made by make run\n{app.config['TASKAPP'].jwt_private_keys[0]}")
    monkeypatch.setenv("TASKAPP_JWT_PRIVATE_KEY", printed(local, "add"))
    monkeypatch.setenv("TASKAPP_ENVIRONMENT", "production")
    with pytest.raises(ConfigError, match="TASKAPP_JWT_PRIVATE_KEY"):
        Config.from_environment()


@pytest.mark.usefixtures("no_cluster")
@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1(), ec.SECP224R1()])
def test_f18_a_key_on_another_curve_is_refused(monkeypatch: pytest.MonkeyPatch, curve: ec.EllipticCurve) -> None:
    monkeypatch.setenv("TASKAPP_JWT_PRIVATE_KEY", pem_of(curve))
    with pytest.raises(ConfigError, match="must be an EC key on the curve P-256"):
        Config.from_environment()
