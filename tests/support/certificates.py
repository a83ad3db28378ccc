"""Authorities, certificates and keys for tests, made anew each time; files as a site would have them.

The fixtures hold for those folders whose ``conftest.py`` imports them.
"""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


@dataclass
class Authority:
    """A certificate authority in a folder: ``ca`` is its own certificate."""

    folder: Path
    _ca: trustme.CA = field(default_factory=trustme.CA, repr=False)

    @property
    def ca(self) -> Path:
        path = self.folder / "ca.pem"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._ca.cert_pem.write_to_path(path)
        return path

    def issue(self, name: str, *names: str, password: bytes | None = None, **more: Any) -> Pair:
        """A certificate for ``names`` (127.0.0.1 where none is given); ``name`` is that of its files."""
        self.ca  # noqa: B018 - the folder
        made = self._ca.issue_cert(*(names or ("127.0.0.1",)), **more)
        pair = Pair(cert=self.folder / f"{name}.pem", key=self.folder / f"{name}.key")
        pair.cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        pair.key.write_bytes(
            _locked(made.private_key_pem.bytes(), password) if password else made.private_key_pem.bytes()
        )
        pair.key.chmod(0o600)
        return pair

    def expired(self, name: str, *names: str) -> Pair:
        """One that was good until a year ago."""
        return self.issue(name, *names, not_before=_ago(730), not_after=_ago(365))


def _ago(days: int) -> dt.datetime:
    return dt.datetime.now(dt.UTC) - dt.timedelta(days=days)


def _locked(key: bytes, password: bytes) -> bytes:
    private: Any = serialization.load_pem_private_key(key, None)
    return bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password),
        )
    )


def server_context(pair: Pair, ca: Path | None = None) -> ssl.SSLContext:
    """A server's context that is none of ours; with ``ca`` it wants a certificate of the client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    if ca is not None:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(ca: Path, pair: Pair | None = None) -> ssl.SSLContext:
    """A client's context that is none of ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    if pair is not None:
        context.load_cert_chain(pair.cert, pair.key)
    return context


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that both sides trust."""
    return Authority(tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="module")
def pacs(hospital: Authority) -> Pair:
    """The archive's certificate."""
    return hospital.issue("pacs")


@pytest.fixture(scope="module")
def us(hospital: Authority) -> Pair:
    """Our certificate."""
    return hospital.issue("us")
