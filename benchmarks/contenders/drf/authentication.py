"""JSON web tokens."""

import os
from typing import Any

import jwt
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from drf.models import User


class BearerAuthentication(BaseAuthentication):
    """Loads whoever the token says is signed in."""

    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        """Return the user, or nothing for a request without a token."""
        scheme, _, token = get_authorization_header(request).decode().partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            claims = jwt.decode(token, os.environ["BENCH_JWT_KEY"], algorithms=["HS256"])
            return User.objects.get(pk=claims["sub"]), claims
        except (jwt.InvalidTokenError, User.DoesNotExist) as error:
            raise AuthenticationFailed from error

    def authenticate_header(self, request: Request) -> str:
        """Make it 401, and not 403."""
        return "Bearer"
