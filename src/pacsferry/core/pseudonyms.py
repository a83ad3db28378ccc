"""Everything that derives from the project's secret: UIDs, patient tokens, shifts, orders; nothing here is stored.

HMAC-SHA-256 keyed with the secret, one label per purpose; a plain hash of an identifier could be found by trying
all identifiers (45 CFR 164.514(c), PS3.15 E.1).
"""

from __future__ import annotations

import hmac
from functools import lru_cache

#: UIDs that name something of the standard, not of a patient (PS3.5 annex A, PS3.6 annex A).
STRUCTURAL_ROOT = "1.2.840.10008."


class ProjectKeys:
    """Keyed derivations of one project. Equal secrets give equal answers on every machine."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._uid = lru_cache(maxsize=65536)(self._new_uid)
        self._subject = lru_cache(maxsize=4096)(self._new_subject)

    def _mac(self, label: str, *parts: str) -> bytes:
        body = b"".join(
            len(raw).to_bytes(4, "big") + raw for raw in (p.encode("utf-8", "surrogatepass") for p in parts)
        )
        return hmac.digest(self._secret, label.encode() + b"\0" + body, "sha256")

    def _new_uid(self, original: str) -> str:
        """PS3.5 B.2: ``2.25.`` and a UUID as a decimal number; version and variant bits as in RFC 9562 (version 8)."""
        number = int.from_bytes(self._mac("uid", original)[:16], "big")
        number = number & ~(0xF << 76) | (8 << 76)
        number = number & ~(0x3 << 62) | (2 << 62)
        return f"2.25.{number}"

    def uid(self, original: str) -> str:
        """The released UID of ``original``; structural UIDs (1.2.840.10008) stay as they are."""
        original = original.strip(" \0")
        return original if original.startswith(STRUCTURAL_ROOT) else self._uid(original)

    def subject(self, patient_id: str, issuer: str, study_uid: str) -> str:
        """A token of the patient: of the trimmed id and issuer, or of the study where the id is empty."""
        patient_id, issuer, study_uid = (text.strip(" \0") for text in (patient_id, issuer, study_uid))
        return self._subject("patient", patient_id, issuer) if patient_id else self._subject("study", study_uid)

    def _new_subject(self, *parts: str) -> str:
        return self._mac("subject", *parts).hex()[:32]

    def draw(self, purpose: str, *parts: str) -> int:
        """A 256 bit number for ``purpose``."""
        return int.from_bytes(self._mac("draw:" + purpose, *parts), "big")
