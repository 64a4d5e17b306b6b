"""Development: an embedded PostgreSQL and `make run`. Not needed in production."""
