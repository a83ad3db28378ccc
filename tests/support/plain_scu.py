"""A plain DIMSE client and receiver of pynetdicom's own, to look at the simulator with eyes that are not ours."""

import contextlib
import threading
import time

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, StoragePresentationContexts, build_context, build_role, evt

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
VERIFICATION = "1.2.840.10008.1.1"
PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


def keys(level, **values):
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


class Association:
    """One association; ``got`` has (instance, syntax, bytes) of what C-GET brought."""

    def __init__(self, sim, storage=()):
        self.got = []
        contexts = [build_context(uid) for uid in (STUDY_FIND, STUDY_GET, STUDY_MOVE, PATIENT_FIND, VERIFICATION)]
        contexts += [build_context(sop_class, list(syntaxes)) for sop_class, syntaxes in storage]
        roles = [build_role(sop_class, scp_role=True) for sop_class in dict.fromkeys(one for one, _ in storage)]
        self.ae = AE("PLAIN")
        self.ae.dimse_timeout, self.ae.network_timeout = 20, 20
        self.assoc = self.ae.associate(
            sim.host, sim.dimse_port, contexts, ae_title=sim.ae_title, ext_neg=roles,
            evt_handlers=[(evt.EVT_C_STORE, self._store), (evt.EVT_CONN_OPEN, self._open)],
        )  # fmt: skip

    def _open(self, event):
        self.sock = event.assoc.dul.socket.socket
        self.sock.settimeout(2)

    def _store(self, event):
        data = event.request.DataSet.getvalue()
        self.got.append((event.request.AffectedSOPInstanceUID, event.context.transfer_syntax, data))
        return 0

    def find(self, identifier, model=STUDY_FIND):
        """The statuses, and the identifiers."""
        answers = list(self.assoc.send_c_find(identifier, model))
        return [one.get("Status") for one, _ in answers], [one for _, one in answers if one is not None]

    def get(self, identifier):
        """The statuses, None for a lost connection."""
        return [one.get("Status") for one, _ in self.assoc.send_c_get(identifier, STUDY_GET)]

    def move(self, identifier, destination):
        return [one.get("Status") for one, _ in self.assoc.send_c_move(identifier, destination, STUDY_MOVE)]

    def close(self):
        if self.assoc.is_established:
            self.assoc.release()
        self.ae.shutdown()
        with contextlib.suppress(RuntimeError):  # never started where the peer rejected it
            self.assoc.join(5)
        with contextlib.suppress(AttributeError, OSError):
            self.sock.close()


@contextlib.contextmanager
def association(sim, storage=()):
    one = Association(sim, storage)
    try:
        yield one
    finally:
        one.close()


class Receiver:
    """A storage SCP; ``got`` has the SOP Instance UIDs in the order they came."""

    def __init__(self, syntaxes):
        self.got, self._sockets, self._news = [], [], threading.Condition()
        self.ae = AE("DEST")
        self.ae.network_timeout = None
        self.ae.supported_contexts = [
            build_context(cx.abstract_syntax, list(syntaxes)) for cx in StoragePresentationContexts
        ]
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_CONN_OPEN, self._open)]
        self.server = self.ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self.server.server_address[1]

    def _open(self, event):
        self._sockets.append(event.assoc.dul.socket.socket)

    def _store(self, event):
        with self._news:
            self.got.append(str(event.request.AffectedSOPInstanceUID))
            self._news.notify_all()
        return 0

    def wait(self, count, seconds=10):
        """Whether so many came in time."""
        end = time.monotonic() + seconds
        with self._news:
            return self._news.wait_for(lambda: len(self.got) >= count, end - time.monotonic())

    def close(self):
        self.ae.shutdown()
        for one in self._sockets:
            one.close()


@contextlib.contextmanager
def receiver(syntaxes=PLAIN):
    one = Receiver(syntaxes)
    try:
        yield one
    finally:
        one.close()
