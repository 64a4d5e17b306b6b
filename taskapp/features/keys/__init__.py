"""The keys others verify our access tokens with."""
