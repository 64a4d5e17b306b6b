"""Gives Redis more time to answer than it takes on a busy machine. The server of a test imports it, not the test."""

from taskapp.web.rate_limit import redis_store

redis_store.ANSWER_SECONDS = 60
