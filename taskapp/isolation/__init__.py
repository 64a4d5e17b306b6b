"""The promise: PostgreSQL itself decides whose rows exist.

The roles, the keys and the manifest of columns that isolation rests on, and the doctor, which proves it on a live database.
`taskapp/database/` sends the signed identity with each statement; the policies are in `migrations/versions/`.
"""
