"""Rate limits: fixed windows counted in memory or in Redis."""
