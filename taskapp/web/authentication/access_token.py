"""Access tokens: made and verified here, and nowhere else.

A token says who signed in and in which session (RFC 9068, ES256). Whether that session still lasts is not asked here: the
database answers it in the same message as the request's statement, so logging out takes effect at once.
"""

import time
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from flask import Flask, g
from flask_jwt_extended import JWTManager, create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException

from taskapp.config import Config
from taskapp.database.identity import SessionUser
from taskapp.services import provide, service
from taskapp.web.authentication.access_claims import CLIENT_ID, SCOPE, TYPE, check_claims, check_header, unverified
from taskapp.web.authentication.signing_keys import SigningKeys
from taskapp.web.responses.problems import Problem

_CACHED_TOKENS = 10_000


class AccessTokens:
    """Issues and verifies the tokens of one application."""

    def __init__(self, config: Config) -> None:
        self.lifetime = config.access_token_seconds
        self._issuer = config.jwt_issuer
        self._audience = config.jwt_audience
        self.keys = SigningKeys(config)
        # Verifying a signature takes a hundred times longer than finding one that was verified before.
        self._verified = lru_cache(_CACHED_TOKENS)(self._verify)

    def issue(self, user_id: UUID, session_id: UUID) -> str:
        """Sign a token for one session of one user."""
        # Asked once: a moment later it may be another one's turn, and the header would name a key that did not sign.
        g.signing_key = self.keys.at(time.time())[0]
        token: str = create_access_token(
            str(user_id),
            additional_claims={"sid": str(session_id), "client_id": CLIENT_ID, "scope": SCOPE},
            additional_headers={"typ": TYPE, "kid": g.signing_key.kid},
        )
        return token

    def verify(self, token: str) -> SessionUser:
        """Read who signed in.

        :raises Problem: 401, the same whatever is wrong with the token.
        """
        try:
            identity, expires_at = self._verified(token)
        except (jwt.PyJWTError, JWTExtendedException, KeyError, TypeError, ValueError, RecursionError) as error:
            raise Problem("invalid_token") from error
        if time.time() >= expires_at:
            raise Problem("invalid_token")
        return identity

    def jwks(self) -> list[dict[str, str]]:
        """Return the public keys, as RFC 7517 has them."""
        return [key.jwk() for key in self.keys.at(time.time())]

    def _verify(self, token: str) -> tuple[SessionUser, float]:
        # RFC 8725 section 3: the header names neither the algorithm nor the key that is used; both are checked against
        # ours. PyJWT by itself would accept another `typ`, a missing `exp`, a date of 400 digits, and our audience among
        # others, so the application reads header and claims itself before the library verifies the signature over them.
        header, claims = unverified(token)
        check_header(header)
        check_claims(claims, self._issuer, self._audience)
        decode_token(token)
        # What was verified is remembered, but not beyond the key.
        expires_at = min(float(claims["exp"]), self.keys.believed_until(header["kid"]))
        return SessionUser(UUID(claims["sub"]), UUID(claims["sid"])), expires_at


def init_app(app: Flask, config: Config) -> None:
    """Configure flask-jwt-extended. Called by the application factory."""
    app.config.update(
        JWT_ALGORITHM="ES256",
        JWT_DECODE_ALGORITHMS=["ES256"],
        JWT_ENCODE_ISSUER=config.jwt_issuer,
        JWT_DECODE_ISSUER=config.jwt_issuer,
        JWT_ENCODE_AUDIENCE=config.jwt_audience,
        JWT_DECODE_AUDIENCE=config.jwt_audience,
        JWT_ACCESS_TOKEN_EXPIRES=config.access_token_seconds,
        JWT_DECODE_LEEWAY=5,
        # Tokens never travel in cookies here, so they need no claim against forged cookies.
        JWT_COOKIE_CSRF_PROTECT=False,
    )
    tokens = AccessTokens(config)
    provide(app, tokens)

    manager = JWTManager(app)

    @manager.encode_key_loader
    def signing_key(identity: str) -> str:
        return cast(str, g.signing_key.pem)

    @manager.decode_key_loader
    def key_of(header: dict[str, Any], claims: dict[str, Any]) -> EllipticCurvePublicKey:
        # The header chooses among our own keys; one it brings along, or points to, is never looked at.
        return {key.kid: key.public for key in tokens.keys.at(time.time())}[header["kid"]]


def access_tokens() -> AccessTokens:
    """Return the current application's."""
    return service(AccessTokens)
