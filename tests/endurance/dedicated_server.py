"""A server for one test alone, which may do to it what others would not survive."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import CELL, Cluster, started


@contextmanager
def cluster_apart(folder: Path, durable: bool = False) -> Iterator[Cluster]:
    """Start one, and leave the environment as it was: the tests that follow go on with theirs."""
    ours = dict(os.environ)
    with started(folder, CELL, durable) as cluster:
        os.environ.clear()
        os.environ.update(ours)
        yield cluster
