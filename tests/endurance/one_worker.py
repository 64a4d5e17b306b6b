"""A server with a single worker process, whose memory and threads can be measured."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from live import PROJECT, gunicorn, port_of

from endurance.raw_http import Address
from taskapp.serving import admission, gunicorn_worker

MEGABYTE = 1024 * 1024


@dataclass
class Server:
    address: Address
    worker: psutil.Process

    @property
    def megabytes(self) -> float:
        return float(self.worker.memory_info().rss) / MEGABYTE


@contextmanager
def one_worker(environment: Mapping[str, str], places: int, **constants: float) -> Iterator[Server]:
    """Serve `places` requests at a time.

    :param constants: values for constants of `taskapp.serving`, in its modules `admission` and `gunicorn_worker`, such as a
        time limit that a test waits for, or that is to end nothing while a test lasts.
    """
    with tempfile.TemporaryDirectory(prefix="taskapp-served-") as folder:
        project = Path(folder)
        for name in ("gunicorn.conf.py", "migrations", "taskapp"):
            (project / name).symlink_to(PROJECT / name)
        changes = "".join(f"{_module_of(name)}.{name} = {value}\n" for name, value in constants.items())
        (project / "wsgi.py").write_text(
            f"from taskapp.serving import admission, gunicorn_worker\n{changes}{(PROJECT / 'wsgi.py').read_text()}"
        )
        settings = {**environment, "TASKAPP_WORKERS": "1", "TASKAPP_THREADS": str(places)}
        with gunicorn(settings, project) as (url, process):
            yield Server(("127.0.0.1", port_of(url)), psutil.Process(process.pid).children()[0])


def _module_of(constant: str) -> str:
    (module,) = (module for module in (admission, gunicorn_worker) if hasattr(module, constant))
    return module.__name__.rpartition(".")[2]
