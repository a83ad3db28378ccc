"""``doctor``: what an archive really does, a letter to its administrator, and a site profile that then works."""

from .addresses import Asked
from .examining import Diagnosed, Limits, doctor

__all__ = ["Asked", "Diagnosed", "Limits", "doctor"]
