"""Whether the service is well, for whatever watches over it."""
