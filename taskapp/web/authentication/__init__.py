"""Authenticate requests: access tokens (JWT), personal access tokens, signing keys."""
