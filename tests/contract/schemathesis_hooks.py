"""What schemathesis sends with its requests and asks of the answers, besides its own checks. Its process loads this file.

``TASKAPP_FUZZ_AS`` says who sends them: somebody who is signed in, or nobody. Where the run ends, ``TASKAPP_FUZZ_COUNTS``
names the file that tells how many requests got which status.
"""

import atexit
import itertools
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import requests
import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response
from schemathesis.auths import AuthContext

# What a document cannot say of a value: that a thing is there, that a zone is known, that members agree with each other.
MEANING = {
    *("unknown_list", "unknown_task", "unknown_timezone", "too_deep", "list_of_parent", "required", "duplicate"),
    # Texts are trimmed before they are measured, and addresses have more rules than their format.
    *("invalid_characters", "too_short", "invalid_format", "too_common"),
    *("read_only", "out_of_range", "invalid_value"),
}

counts: Counter[str] = Counter()


class SignedIn:
    """Somebody new whenever the one before has logged out, moved, or left."""

    numbers = itertools.count()
    token: str | None = None

    def get(self, case: Case[Any], context: AuthContext) -> str:
        if SignedIn.token is None:
            body = {"email": f"fuzz-{next(self.numbers)}@example.com", "password": "correct horse battery"}
            answer = requests.post(f"{os.environ['TASKAPP_FUZZ_URL']}/v1/auth/register", json=body, timeout=30)
            answer.raise_for_status()
            SignedIn.token = answer.json()["tokens"]["access_token"]
        return SignedIn.token

    def set(self, case: Case[Any], data: str, context: AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


if os.environ["TASKAPP_FUZZ_AS"] == "somebody":
    schemathesis.auth(refresh_interval=None)(SignedIn)


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    """Count the answer, and sign in anew once ours says that its session has ended."""
    counts[str(response.status_code)] += 1
    sent = response.request.headers.get("Authorization")
    if response.status_code == 401 and sent == f"Bearer {SignedIn.token}":
        SignedIn.token = None


@schemathesis.check
def refused_for_its_meaning(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """What the document allows is refused only for what a document cannot say."""
    if response.status_code not in (400, 422) or case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    problem: dict[str, Any] = response.json()
    if response.status_code == 400:
        # A cursor is opaque: none that is made up is one. And schemathesis takes 0 for the first value of a header that has
        # a pattern, whatever the pattern is.
        zero = "0" in (case.headers.get("If-Match"), case.headers.get("If-None-Match"))
        assert problem["code"] == "invalid_cursor" or zero, f"the document does not say so: {problem}"
    elif problem["code"] not in ("idempotency_key_reused", "quota_exceeded"):
        strange = [error for error in problem["errors"] if error["code"] not in MEANING]
        assert not strange, f"the document does not say so: {strange}"


@atexit.register
def write_counts() -> None:
    Path(os.environ["TASKAPP_FUZZ_COUNTS"]).write_text(json.dumps(counts))
