"""A proxy that spoils TCP connections by chance: slow, late, reset, silent, flipped bits; it knows no protocol.

The same seed gives the same sequence of misfortunes, connection by connection.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final, Self

_CHUNK = 1 << 15

#: What can befall a connection.
MISFORTUNES: Final = ("none", "slow", "late", "reset", "blackhole", "flip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How likely what is: weights of ``MISFORTUNES``; the others bound what happens.

    ``rate`` in bytes per second for "slow", ``delay`` in seconds before each piece for "late", ``within`` the bytes
    after which "reset", "blackhole" and "flip" come at the latest.
    """

    none: int = 6
    slow: int = 1
    late: int = 1
    reset: int = 2
    blackhole: int = 1
    flip: int = 1
    rate: int = 400_000
    delay: float = 0.02
    within: int = 400_000


CALM: Final = Weather(slow=0, late=0, reset=0, blackhole=0, flip=0)


class Chaos:
    """Listens on a free port of 127.0.0.1 and connects everybody through to ``target``; a context manager.

    ``weather`` may change at any time and holds for connections that begin then. ``counts`` says what befell them.
    """

    def __init__(self, target: tuple[str, int], *, seed: int = 0, weather: Weather = CALM) -> None:
        self._target, self._random = target, random.Random(seed)
        self.weather = weather
        self.counts: Counter[str] = Counter()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = "127.0.0.1", int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="chaos", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target, timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._begin(client, server)

    def _begin(self, client: socket.socket, server: socket.socket) -> None:
        weather = self.weather
        fate = self._random.choices(MISFORTUNES, [getattr(weather, name) for name in MISFORTUNES])[0]
        after = self._random.randrange(1, weather.within)
        with self._lock:
            self.counts[fate] += 1
            self._open |= {client, server}
        pair = _Pair(client, server)
        for source, sink, spoiled in ((server, client, True), (client, server, False)):
            pump = _Pump(pair, source, sink, fate if spoiled else "none", after, weather, self._closed)
            threading.Thread(target=pump.run, daemon=True).start()

    def close(self) -> None:
        """Stop, and end every connection."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            sockets = list(self._open)
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Pair:
    """Both ends of a connection, closed once both directions have ended."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._ends = (client, server)
        self._left = 2
        self._lock = threading.Lock()

    def ended(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left:
                return
        for end in self._ends:
            end.close()

    def reset(self) -> None:
        """With RST: who reads is told at once."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)


@dataclass(slots=True)
class _Pump:
    """One direction. ``after``: bytes until the misfortune."""

    pair: _Pair
    source: socket.socket
    sink: socket.socket
    fate: str
    after: int
    weather: Weather
    closed: threading.Event

    def run(self) -> None:
        try:
            while data := self.source.recv(_CHUNK):
                if not self._passed(data):
                    break
            with contextlib.suppress(OSError):
                self.sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (self.source, self.sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        finally:
            self.pair.ended()

    def _passed(self, data: bytes) -> bool:
        """Pass it on as fate wants; False when the connection is over."""
        if self.fate == "late":
            time.sleep(self.weather.delay)
        elif self.fate == "slow":
            time.sleep(len(data) / self.weather.rate)
        before, self.after = self.after, self.after - len(data)
        if self.after > 0 or self.fate not in {"reset", "blackhole", "flip"}:
            self.sink.sendall(data)
            return True
        if self.fate == "flip":
            at = max(before - 1, 0)
            data = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
            self.fate = "none"
            self.sink.sendall(data)
            return True
        self.sink.sendall(data[:before])
        if self.fate == "reset":
            self.pair.reset()
        else:
            self._swallow()
        return False

    def _swallow(self) -> None:
        """Take everything, say nothing, until the other side gives up."""
        while not self.closed.is_set() and self.source.recv(_CHUNK):
            pass
