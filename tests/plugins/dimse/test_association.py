"""Associations can be ended from outside, also while the archive has not answered yet."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from pacsferry.core.archive import Archive, Dimse, Timeouts
from pacsferry.core.errors import TransferError
from pacsferry.plugins.dimse.association import VERIFICATION, Caller, contexts


def test_closing_ends_a_request_for_an_association_that_nobody_answers():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dimse = Dimse(host="127.0.0.1", port=silent.getsockname()[1], ae_title="SILENT")
        caller = Caller(Archive(dimse=dimse, timeouts=Timeouts(stall="60s")), "c-find")
        timer = threading.Timer(0.5, caller.close)
        began = time.monotonic()
        timer.start()
        with pytest.raises(TransferError) as caught:
            caller.open("C-FIND", contexts(VERIFICATION))
        timer.join()
    assert caught.value.code == "interrupted"
    assert time.monotonic() - began < 10
