"""People who use the service over HTTP."""

import httpx
from conftest import PASSWORD
from waiting import DEADLINE_SECONDS


def registered(url: str, name: str) -> str:
    """Sign somebody up; return the access token."""
    account = {"email": f"{name}@example.com", "password": PASSWORD}
    response = httpx.post(f"{url}/v1/auth/register", json=account, trust_env=False, timeout=DEADLINE_SECONDS)
    assert response.status_code == 201, response.text
    token: str = response.json()["tokens"]["access_token"]
    return token
