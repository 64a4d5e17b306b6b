"""A client that asks for a large response and reads none of it, and the tasks that make it large."""

import socket

from conftest import Admin, Person
from endurance.raw_http import Address, head

TASKS = 1_500
"""With notes of 16 kB, 24 MB in three batches: more than the system's buffers take of what is not read."""


def fill(admin: Admin, person: Person, tasks: int = TASKS, characters: int = 16_384) -> None:
    admin.execute(
        "INSERT INTO app.tasks (user_id, id, title, notes, position)"
        " SELECT %s, gen_random_uuid(), 'x', repeat('x', %s), 'a' || n || '1' FROM generate_series(1, %s) AS n",
        person.id,
        characters,
        tasks,
    )


def wanting(address: Address, person: Person, path: str) -> socket.socket:
    """Ask for something and read none of it."""
    connection = socket.socket()
    # Before it connects, so that the window stays small.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(120)
    connection.connect(address)
    connection.sendall(head("GET", path, f"Authorization: {person.headers['Authorization']}"))
    return connection


def status(connection: socket.socket) -> int:
    """Read the status of an answer, and nothing behind it."""
    line = b""
    while len(line) < len("HTTP/1.1 200"):
        line += (more := connection.recv(len("HTTP/1.1 200") - len(line)))
        assert more, line
    return int(line[-3:])
