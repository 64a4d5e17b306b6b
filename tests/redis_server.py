"""Redis, for the counters that worker processes share."""

import signal
import subprocess
from pathlib import Path
from typing import Self

from conftest import free_port
from live import program
from redis import Redis
from redis.exceptions import ConnectionError as NotThere
from waiting import wait_until


class RedisServer:
    """Runs while it is entered, keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._program = program("redis-server")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Return once it answers."""
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder), "--save", ""]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._answers, f"an answer from Redis at {self.url}")

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, "redis-server ended before it answered"
        try:
            with Redis.from_url(self.url) as client:
                return bool(client.ping())
        except NotThere:
            return False

    def kill(self) -> None:
        """End it at once."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def hang(self) -> None:
        """Let it accept connections and answer nobody."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
