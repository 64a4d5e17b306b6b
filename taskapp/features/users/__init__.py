"""Accounts: the user's own."""
