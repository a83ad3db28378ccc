"""TLS to an archive: certificates and names are always checked; what is configured is only whom to trust."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import certifi

from pacsferry.core.archive import Archive
from pacsferry.core.errors import ConfigError
from pacsferry.core.ports import Authenticator

#: Where there is no https, nothing is read and nobody could be talked to.
NOBODY_TRUSTED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def context_of(archive: Archive, authenticator: Authenticator | None) -> ssl.SSLContext:
    """The context for https. Raises ``ConfigError`` where a file cannot be read.

    An authenticator that brings authorities decides whom to trust; else ``archive.dicomweb.ca``; else the environment
    (``REQUESTS_CA_BUNDLE``, ``SSL_CERT_FILE``); else the system and certifi.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authenticator is not None:
        authenticator.secure(context)
    if not context.cert_store_stats()["x509"]:
        _trust(context, archive)
    # After everybody else: a plugin that switched this off would let anybody read credentials and patients.
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    return context


def _trust(context: ssl.SSLContext, archive: Archive) -> None:
    own = archive.dicomweb.ca if archive.dicomweb else None
    if own is not None:
        _load(context, archive.base / Path(own.removeprefix("file:")).expanduser(), "archive.dicomweb.ca")
        return
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        if os.environ.get(name):
            _load(context, Path(os.environ[name]), name)
            return
    context.load_default_certs()
    context.load_verify_locations(certifi.where())


def _load(context: ssl.SSLContext, path: Path, where: str) -> None:
    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise ConfigError(f"{where}: {path} holds no certificates in PEM form") from None
    except OSError as err:
        raise ConfigError(f"{where}: cannot read {path}: {err.strerror}") from None
