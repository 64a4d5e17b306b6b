"""Ports for servers of tests: no two runs get the same one."""

import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import ports
from ports import free_port

HERE = Path(__file__).parent
EACH = 120
"""So many that a process needs several blocks."""


def test_processes_at_the_same_time_get_different_ports() -> None:
    script = f"from ports import free_port\nprint(*(free_port() for _ in range({EACH})), flush=True)\ninput()"
    processes = [
        subprocess.Popen([sys.executable, "-c", script], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    given = [free_port() for _ in range(EACH)]
    for process in processes:
        assert process.stdout is not None
        given += map(int, process.stdout.readline().split())
    for process in processes:
        process.communicate("\n", timeout=60)
    assert len(set(given)) == len(given) == 4 * EACH


def test_the_system_gives_none_of_them_to_an_outgoing_connection() -> None:
    first, last = map(int, ports._RANGE.read_text().split())
    assert not {free_port() for _ in range(EACH)} & set(range(first, last + 1))


def test_a_port_on_which_somebody_listens_is_left_out() -> None:
    taken, free = free_port(), free_port()
    with closing(socket.create_server(("127.0.0.1", taken))):
        assert not ports._is_free(taken)
    assert ports._is_free(free)
