"""Secrets by reference, as a profile's keys hold them; core reads them, profiles and plugins share it."""

from __future__ import annotations

from pacsferry.core.secretrefs import SecretRef, lines, reference, secret

__all__ = ["SecretRef", "lines", "reference", "secret"]
