"""One request, one message: how the application talks to PostgreSQL."""
