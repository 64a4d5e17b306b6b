"""How many requests one may send, and the headers that say so; decided before PostgreSQL is asked anything.

The headers are those of draft-ietf-httpapi-ratelimit-headers-10 (September 2025), which is no RFC yet: their names stand
here and nowhere else. Logging in, registering and refreshing are counted in PostgreSQL instead, see
features/auth/login_throttle.py.
"""

import math
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Flask, Response, g

from taskapp.config import Config
from taskapp.services import provide, service
from taskapp.web.proxy.client_address import client_network
from taskapp.web.rate_limit.memory_store import MemoryStore
from taskapp.web.rate_limit.store import CounterStore
from taskapp.web.responses.problems import Problem

POLICY = "RateLimit-Policy"
LIMIT = "RateLimit"
RETRY_AFTER = "Retry-After"

# A fixed window, from one's first request on: one number to keep per user where a moving window needs a list, and at its end
# the whole quota is there again, so that `t` and Retry-After are exact. Two windows may meet: 2q requests in a short while.
WINDOW_SECONDS = 60


def open_store(url: str | None) -> CounterStore:
    """Return the store for ``TASKAPP_RATE_LIMIT_STORAGE``: Redis by its URL, memory without one."""
    if url is None:
        return MemoryStore()
    from taskapp.web.rate_limit.redis_store import RedisStore  # noqa: PLC0415 - takes 6 MB, see there

    return RedisStore(url)


@dataclass(frozen=True, slots=True)
class Policy:
    """So many requests in a window."""

    name: str
    quota: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a request stands with a policy."""

    policy: Policy
    used: int
    seconds_left: int


class RateLimits:
    """The limits of one application."""

    def __init__(self, config: Config) -> None:
        self.default = Policy("default", config.requests_per_minute)
        self.anonymous = Policy("anonymous", config.anonymous_requests_per_minute)
        self.counters = open_store(config.rate_limit_storage)

    def count(self, policy: Policy, key: str, by: int = 1) -> None:
        """Count a request.

        :param by: 0 looks whether another one would be too many.
        :raises Problem: 429 when it is one too many.
        """
        used, seconds = self.counters.count(f"{policy.name}:{key}", WINDOW_SECONDS, by)
        g.standing = standing = Standing(policy, used, max(1, math.ceil(seconds)))
        if used + 1 - by > policy.quota:
            violated: dict[str, Any] = {"violated-policies": [policy.name]}
            raise Problem("rate_limited", headers={RETRY_AFTER: str(standing.seconds_left)}, **violated)


def init_app(app: Flask, config: Config) -> None:
    """Tell in responses how their requests stand. Called by the application factory."""
    provide(app, RateLimits(config))
    app.after_request(_set_headers)


def count_signed_in(user_id: UUID) -> None:
    """Count a request of somebody who has signed in, by whatever token.

    :raises Problem: 429.
    """
    limits = service(RateLimits)
    limits.count(limits.default, str(user_id))


def count_refused() -> None:
    """Count a request that is to be answered 401, so that nobody guesses tokens without end.

    Those with a good token are not counted here: a guesser does not lock out who shares the network.

    :raises Problem: 429.
    """
    limits = service(RateLimits)
    limits.count(limits.anonymous, client_network(ipv4_bits=32))


def refuse_token_guessing() -> None:
    """Refuse a token that PostgreSQL would have to look up, when too many from its network were no good.

    :raises Problem: 429.
    """
    limits = service(RateLimits)
    limits.count(limits.anonymous, client_network(ipv4_bits=32), by=0)


def _set_headers(response: Response) -> Response:
    standing: Standing | None = g.get("standing")
    if standing is not None:
        policy = standing.policy
        response.headers[POLICY] = f'"{policy.name}";q={policy.quota};w={WINDOW_SECONDS}'
        remaining = max(0, policy.quota - standing.used)
        response.headers[LIMIT] = f'"{policy.name}";r={remaining};t={standing.seconds_left}'
    return response
