# A transport for Acme archives, which answer for one instance at a time only.
import requests

from pacsferry import hookimpl
from pacsferry.core import errors, model, ports


class AcmeFetch:
    traits = model.Traits(takes=frozenset({model.Level.IMAGE}), protocol="dicomweb")
    headers = {"Accept": "application/dicom; transfer-syntax=*, application/dicom+json"}

    def __init__(self, archive, settings):
        self.url, self.limits = archive.dicomweb.url, (archive.timeouts.connect, archive.timeouts.stall)

    def fetch(self, wanted, sink):
        at = f"/studies/{wanted.study}/series/{wanted.series}/instances/"
        head = model.Head(framing=model.Framing.PART_10, wanted=wanted)
        receipts = (sink.accept(head, [self.get(at + uid).content]) for uid in wanted.instances)
        return model.Tally(code="no-space" if model.Receipt.NO_SPACE in receipts else "")

    def get(self, path):
        try:
            answer = requests.get(self.url + path, headers=self.headers, timeout=self.limits, allow_redirects=False)
        except requests.RequestException as error:  # its text holds the address: only its type is told
            raise errors.TransferError(f"acme: {type(error).__name__}", code="unreachable") from None
        if answer.status_code != 200:
            raise errors.TransferError(f"acme: HTTP status {answer.status_code}", code="http-error")
        return answer

    def ping(self):
        elapsed = self.get("/studies?limit=1").elapsed
        return model.Ping(service="Acme", address=self.url, seconds=elapsed.total_seconds())

    def close(self): ...


@hookimpl
def pacsferry_transports():
    yield ports.Offer(name="acme-fetch", summary="Acme, one instance at a time", build="pacsferry_acme:AcmeFetch")
