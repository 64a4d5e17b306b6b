"""The promise: PostgreSQL itself decides whose rows exist.

`identity` says who acts, `seal` makes that claim unforgeable, `database` carries it to PostgreSQL in the same message as
the statement. What the database does with it stands in `migrations/versions/`.
"""
