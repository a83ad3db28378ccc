"""TLS in front of a server that speaks none, as a hospital's reverse proxy: it checks certificates and looks at nothing.

Debian 12's Orthanc cannot serve https itself: its civetweb crashes with OpenSSL 3 at the first request.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading


class TlsFront:
    """Passes on to ``port`` of 127.0.0.1 what comes over TLS; ``names`` are those of the client certificates shown."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port, self._context = port, context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.origin = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.names: list[str] = []
        self.refused = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        try:
            secure = self._context.wrap_socket(line, server_side=True)
        except OSError:
            self.refused += 1
            line.close()
            return
        shown = secure.getpeercert() or {}
        self.names += [name for _, name in shown.get("subjectAltName", ())]
        with contextlib.suppress(OSError):
            self._relay(secure, socket.create_connection(("127.0.0.1", self._port)))

    @staticmethod
    def _relay(secure: ssl.SSLSocket, plain: socket.socket) -> None:
        """One thread reads and writes TLS in turn: an SSL object is not for two."""
        secure.setblocking(False)  # noqa: FBT003 - the name in the standard library
        with secure, plain:
            while True:
                moved = False
                with contextlib.suppress(ssl.SSLWantReadError):
                    if not (data := secure.recv(65536)):
                        return
                    plain.sendall(data)
                    moved = True
                plain.settimeout(0.0 if moved else 0.005)
                with contextlib.suppress(TimeoutError, BlockingIOError):
                    if not (data := plain.recv(65536)):
                        return
                    secure.settimeout(30)
                    secure.sendall(data)
                    secure.setblocking(False)  # noqa: FBT003
