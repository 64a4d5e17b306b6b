"""A key that takes over at a moment: published before, signing from then on, alone when the old one's last token is over."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import jwt
import pytest
from flask import Flask

from taskapp import create_app
from taskapp.config import Config, switching
from taskapp.operations.generate_private_key import new_private_key
from taskapp.operations.jwt_key import jwt_key
from taskapp.web.authentication.access_claims import LONGEST_SECONDS
from taskapp.web.authentication.access_token import AccessTokens, access_tokens
from taskapp.web.responses.problems import Problem

# The libraries that sign and verify look at the real clock.
SWITCH = datetime.now(UTC).replace(microsecond=0)
OLD, NEW = new_private_key(), new_private_key()
AtTime = Callable[[float], None]


@pytest.fixture
def old_alone(app: Flask) -> Flask:
    return create_app(replace(app.config["TASKAPP"], jwt_private_keys=[OLD], jwt_switch_at=None))


@pytest.fixture
def handing_over(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setenv("TASKAPP_JWT_PRIVATE_KEY", switching([OLD, NEW], SWITCH))
    return create_app(Config.from_environment())


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> AtTime:
    """Let it be so many seconds after the switch."""
    return lambda seconds: monkeypatch.setattr(time, "time", lambda: SWITCH.timestamp() + seconds)


def kid(pem: str, app: Flask) -> str:
    return AccessTokens(replace(app.config["TASKAPP"], jwt_private_keys=[pem], jwt_switch_at=None)).jwks()[0]["kid"]


def published(app: Flask) -> list[str]:
    with app.app_context():
        return [key["kid"] for key in access_tokens().jwks()]


def token(app: Flask) -> str:
    with app.app_context():
        return access_tokens().issue(uuid4(), uuid4())


def accepts(app: Flask, token: str) -> bool:
    with app.app_context():
        try:
            access_tokens().verify(token)
        except Problem:
            return False
        return True


def test_what_is_written_is_what_is_read(handing_over: Flask) -> None:
    config = handing_over.config["TASKAPP"]
    assert (config.jwt_private_keys, config.jwt_switch_at) == ([OLD.strip(), NEW.strip()], SWITCH)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-86400, [OLD, NEW]), (-1, [OLD, NEW]), (0, [NEW, OLD]), (659, [NEW, OLD])]
)
def test_the_first_that_is_published_signs_and_the_other_is_believed(
    handing_over: Flask, at: AtTime, seconds: float, expected: list[str]
) -> None:
    at(seconds)
    assert published(handing_over) == [kid(pem, handing_over) for pem in expected]
    signed = jwt.get_unverified_header(token(handing_over))["kid"]
    assert signed == kid(expected[0], handing_over)


def test_when_the_old_ones_last_token_is_over_the_new_one_is_alone(handing_over: Flask, at: AtTime) -> None:
    at(660)
    assert published(handing_over) == [kid(NEW, handing_over)]


def test_before_the_switch_a_process_with_the_old_environment_accepts_what_one_with_the_new_signs(
    old_alone: Flask, handing_over: Flask, at: AtTime
) -> None:
    at(-1)
    assert accepts(old_alone, token(handing_over))
    assert accepts(handing_over, token(old_alone))


def test_a_token_of_the_old_key_is_good_until_it_expires(handing_over: Flask, at: AtTime) -> None:
    at(-1)
    last = token(handing_over)
    at(598)
    assert accepts(handing_over, last)


def test_who_has_the_old_key_makes_no_token_that_outlives_it(handing_over: Flask, at: AtTime) -> None:
    at(-1)
    genuine = token(handing_over)
    claims = jwt.decode(genuine, options={"verify_signature": False})
    header = jwt.get_unverified_header(genuine)

    def lasting_for(seconds: int) -> str:
        return jwt.encode({**claims, "exp": claims["iat"] + seconds}, OLD, algorithm="ES256", headers=header)

    # No setting makes tokens last longer than an hour.
    assert not accepts(handing_over, lasting_for(LONGEST_SECONDS + 1))
    lasting = lasting_for(LONGEST_SECONDS)
    # It is remembered as verified from now on.
    assert accepts(handing_over, lasting)
    at(659)
    assert accepts(handing_over, lasting)
    at(660)
    assert not accepts(handing_over, lasting)


def test_flask_jwt_key_goes_on_from_what_counts_by_then(handing_over: Flask, at: AtTime) -> None:
    at(1)
    retired = handing_over.test_cli_runner().invoke(jwt_key, ["retire"])
    assert NEW in retired.stdout
    assert OLD.splitlines()[1] not in retired.stdout
    at(660)
    nothing = handing_over.test_cli_runner().invoke(jwt_key, ["retire"])
    assert nothing.stderr == "Error: there is no old key\n"
