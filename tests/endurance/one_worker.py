"""A server of a single worker, so that what one worker does and takes can be told."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from live import gunicorn, port_of

from endurance.wire import Address

MEGABYTE = 1024 * 1024


@dataclass
class Server:
    address: Address
    worker: psutil.Process

    @property
    def megabytes(self) -> float:
        return float(self.worker.memory_info().rss) / MEGABYTE


@contextmanager
def one_worker(environment: Mapping[str, str], places: int) -> Iterator[Server]:
    """Serve with so many places for requests that have come in."""
    with gunicorn({**environment, "TASKAPP_WORKERS": "1", "TASKAPP_THREADS": str(places)}) as (url, process):
        yield Server(("127.0.0.1", port_of(url)), psutil.Process(process.pid).children()[0])
