"""gunicorn's code that our worker overrides or relies on is what it was when the override was written.

A failure names the override of `taskapp/serving/gunicorn_worker.py` to read again beside gunicorn's new code; then write the
new digest here.
"""

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from gunicorn import util
from gunicorn.http.unreader import SocketUnreader
from gunicorn.http.wsgi import FileWrapper, Response
from gunicorn.workers.base import Worker as BaseWorker
from gunicorn.workers.gthread import TConn, ThreadWorker

from taskapp.serving.gunicorn_worker import Reader, Worker

RELIED_ON: dict[str, tuple[Callable[..., Any], str]] = {
    "Reader.chunk": (SocketUnreader.chunk, "9f62532259f8468e"),
    "Worker.get_thread_pool": (ThreadWorker.get_thread_pool, "003f3549a71b6d34"),
    "Worker.get_thread_pool (its use)": (ThreadWorker.init_process, "e4fc63a1a68e4f48"),
    "Worker.load_wsgi": (BaseWorker.load_wsgi, "18b02fc35e964f2b"),
    "Worker.load_wsgi (closing after a refusal)": (Response.force_close, "656092cce3c31f66"),
    "Worker.load_wsgi (files)": (FileWrapper, "8f7142e80806af83"),
    "Worker.accept": (ThreadWorker.accept, "f8dcead3dce5c851"),
    "Worker.handle": (ThreadWorker.handle, "ca85c9be3df75da4"),
    "Worker.handle (the parser)": (TConn.init, "5ff3d4ba451cfdf3"),
    "Worker.handle (closing)": (util.close_graceful, "0e5925bfc017bc4e"),
    "Worker.finish_request": (ThreadWorker.finish_request, "616e7bb15a009ff7"),
    "Worker.set_accept_enabled": (ThreadWorker.set_accept_enabled, "140150ebfd3cae34"),
    "Worker.set_accept_enabled (the end of a worker)": (ThreadWorker.run, "f92c7394d85715a4"),
    "Worker.murder_keepalived": (ThreadWorker.murder_keepalived, "4459960c4ccc36d4"),
    "Worker.handle_request": (ThreadWorker.handle_request, "6d0de5b919102efc"),
    "Worker.handle_error": (BaseWorker.handle_error, "75426448389bbac9"),
}


@pytest.mark.parametrize("override", RELIED_ON)
def test_what_an_override_relies_on_is_unchanged(override: str) -> None:
    code, digest = RELIED_ON[override]
    assert digest_of(code) == digest, f"gunicorn's {code.__qualname__} has changed: read {override} again"


def test_every_override_stands_here() -> None:
    overridden = {
        f"{ours.__name__}.{name}"
        for ours, theirs in ((Worker, ThreadWorker), (Reader, SocketUnreader))
        for name, member in vars(ours).items()
        if inspect.isfunction(member) and hasattr(theirs, name)
    }
    assert overridden == {override.partition(" ")[0] for override in RELIED_ON}


def digest_of(code: Callable[..., Any]) -> str:
    return hashlib.sha256(inspect.getsource(code).encode()).hexdigest()[:16]
