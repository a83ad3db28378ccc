"""The contract of web auths: header fields that are some, certificates that stay required, secrets that stay in."""

from __future__ import annotations

import re
import ssl
import threading
from pathlib import Path
from typing import Any, Final

import pytest

from pacsferry.core.archive import Archive, Dicomweb
from pacsferry.core.ports import Authenticator, Offer, Proof
from pacsferry.core.strict import Strict

from .kit import TIMEOUTS, Contract, build, in_time

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]+")
#: What frames a message, says to whom it goes, or what may come back.
_FRAMING: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "accept", "accept-encoding", "range", "te", "upgrade"}
)


#: What the contract asks header fields for.
_REQUEST: Final = ("GET", "https://127.0.0.1:1/dicom-web/studies?limit=1")


class WebAuthContract(Contract):
    """Override ``offer``, and ``settings`` where a secret is needed: refer to one that the test has made."""

    @pytest.fixture
    def archive(self, tmp_path: Path) -> Archive:
        """The archive to prove something to; nobody is there. Relative paths count from ``tmp_path``."""
        return Archive(name="kit", dicomweb=Dicomweb(url="https://127.0.0.1:1/dicom-web"), timeouts=TIMEOUTS).at(
            tmp_path
        )

    @pytest.fixture
    def auth(self, offer: Offer[Any], archive: Archive, settings: Strict) -> Authenticator:
        """The authenticator under test."""
        made: Authenticator = build(offer, archive, settings)
        return made

    def test_it_says_where_its_proof_goes(self, auth: Authenticator) -> None:
        assert isinstance(auth.proof, Proof), "proof is a pacsferry.core.ports.Proof"
        given = in_time(lambda: auth.headers(*_REQUEST))
        if auth.proof is Proof.HEADERS:
            assert given, "a proof in header fields needs one"
        else:
            assert not given, "who gives header fields says Proof.HEADERS, or they may travel unencrypted"

    def test_header_fields_are_header_fields(self, auth: Authenticator) -> None:
        for name, value in in_time(lambda: auth.headers(*_REQUEST)).items():
            assert _NAME.fullmatch(name), "a name that is none (RFC 9110 5.1)"
            assert _VALUE.fullmatch(value), "a value with a line end or a character that cannot be sent (RFC 9110 5.5)"
            assert name.lower() not in _FRAMING, "how a message is framed is not a matter of authentication"

    def test_certificates_stay_required(self, auth: Authenticator) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        auth.secure(context)
        assert context.verify_mode is ssl.CERT_REQUIRED, "the archive's certificate is always checked"
        assert context.check_hostname, "the archive's name is always checked"

    def test_several_threads_may_ask(self, auth: Authenticator) -> None:
        given: list[Any] = []
        threads = [threading.Thread(target=lambda: given.append(dict(auth.headers(*_REQUEST)))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(given) == 8, "headers() failed, or hangs, when several threads ask at once"
        assert all(one.keys() == given[0].keys() for one in given)

    def test_a_refusal_is_answered_honestly(self, auth: Authenticator) -> None:
        refused = dict(in_time(lambda: auth.headers(*_REQUEST)))
        again = in_time(lambda: auth.renew(refused))
        assert isinstance(again, bool), "renew() says True or False"
        changed = dict(in_time(lambda: auth.headers(*_REQUEST))) != refused
        assert again == changed, "renew() says whether headers() gives others now: the same ones are not tried twice"

    def test_no_secret_is_shown(self, auth: Authenticator, settings: Strict) -> None:
        shown = f"{auth!r} {settings!r} {settings}"
        for value in in_time(lambda: auth.headers(*_REQUEST)).values():
            for word in value.split():
                assert len(word) < 8 or word not in shown, "a secret is in repr()"
