"""Operator commands: `flask config`, `database`, `isolation`, `jwt-key`, `tasks` and `users`."""
