"""A raw file server that costs next to nothing: one thread for each connection, sendfile, nothing parsed.

``python -m tests.bench.file_server FD BLOCK TIMES [PACE]`` answers every request on the inherited socket with the
content of the file BLOCK, TIMES over, at most PACE bytes each second.
"""

import math
import os
import socket
import sys
import threading
import time

_SENT_AT_ONCE = 2**20


def _answer(connection: socket.socket, path: str, times: int, pace: float) -> None:
    with connection, open(path, "rb") as block:  # noqa: PTH123  # a bare descriptor for sendfile
        size = os.fstat(block.fileno()).st_size
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size * times}\r\n\r\n".encode()
        while _request_came(connection):
            connection.sendall(head)
            _send(connection, block.fileno(), size, times, pace)


def _send(connection: socket.socket, block: int, size: int, times: int, pace: float) -> None:
    started_at, sent = time.monotonic(), 0
    while sent < size * times:
        sent += os.sendfile(connection.fileno(), block, sent % size, min(_SENT_AT_ONCE, size - sent % size))
        ahead_s = started_at + sent / pace - time.monotonic()
        if ahead_s > 0:
            time.sleep(ahead_s)


def _request_came(connection: socket.socket) -> bool:
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        piece = connection.recv(65536)
        if not piece:
            return False
        received += piece
    return True


def _serve(listener: socket.socket, path: str, times: int, pace: float) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(connection, path, times, pace), daemon=True).start()


if __name__ == "__main__":
    _serve(
        socket.socket(fileno=int(sys.argv[1])),
        sys.argv[2],
        int(sys.argv[3]),
        float(sys.argv[4]) if sys.argv[4:] else math.inf,
    )
