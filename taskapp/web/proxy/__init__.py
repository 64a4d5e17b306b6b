"""What trusted proxies tell about a request: the client's address and the path prefix."""
