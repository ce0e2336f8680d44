"""A raw file server that costs next to nothing: one thread for each connection, sendfile, nothing parsed.

``python -m tests.bench.file_server FD BLOCK TIMES`` answers every request on the inherited socket with the content of
the file BLOCK, TIMES over.
"""

import os
import socket
import sys
import threading

_SENT_AT_ONCE = 2**20


def _answer(connection: socket.socket, path: str, times: int) -> None:
    with connection, open(path, "rb") as block:  # noqa: PTH123  # a bare descriptor for sendfile
        size = os.fstat(block.fileno()).st_size
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size * times}\r\n\r\n".encode()
        while _request_came(connection):
            connection.sendall(head)
            for _ in range(times):
                at = 0
                while at < size:
                    at += os.sendfile(connection.fileno(), block.fileno(), at, min(_SENT_AT_ONCE, size - at))


def _request_came(connection: socket.socket) -> bool:
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        piece = connection.recv(65536)
        if not piece:
            return False
        received += piece
    return True


def _serve(listener: socket.socket, path: str, times: int) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(connection, path, times), daemon=True).start()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], int(sys.argv[3]))
