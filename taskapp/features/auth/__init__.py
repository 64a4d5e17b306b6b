"""Registering and logging in: everything before there is an identity, as the role taskapp_auth."""
