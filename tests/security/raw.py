"""One request byte by byte, as no client library would send it."""

import socket
from urllib.parse import urlsplit


def exchange(url: str, request: bytes) -> tuple[int, dict[str, str], str]:
    """Send it; return status, headers by their names in small letters, and the body. The server closes the connection."""
    at = urlsplit(url)
    with socket.create_connection((at.hostname or "", at.port or 0), timeout=60) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while part := client.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, body.decode()
