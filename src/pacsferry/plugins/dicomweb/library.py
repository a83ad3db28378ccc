"""dicomweb-client as this plugin uses it: its client for the web. Its client for files is loaded when it is used.

That one loads numpy and Pillow, and makes a tenth of what a command takes until it asks an archive. Whoever asks
dicomweb-client for it gets it all the same; where the library is laid out in another way, all of it is loaded.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_LIBRARY, _FILES, _CLIENT = "dicomweb_client", "dicomweb_client.file", "DICOMfileClient"


def _import() -> None:
    """Import the package with an empty module where that of the files would be, and let names find the real one."""
    if _LIBRARY in sys.modules:
        return
    empty = ModuleType(_FILES)
    setattr(empty, _CLIENT, empty)
    sys.modules[_FILES] = empty
    try:
        import_module(_LIBRARY)
    finally:
        del sys.modules[_FILES]
    for name in (_LIBRARY, f"{_LIBRARY}.api"):
        module = sys.modules.get(name)
        if module is not None and getattr(module, _CLIENT, None) is empty:
            delattr(module, _CLIENT)
            vars(module)["__getattr__"] = _wanted


def _wanted(name: str) -> Any:
    if name != _CLIENT:
        raise AttributeError(f"module {_LIBRARY!r} has no attribute {name!r}")
    return getattr(import_module(_FILES), _CLIENT)


_import()

from dicomweb_client import DICOMwebClient  # noqa: E402
from dicomweb_client.uri import URI  # noqa: E402

__all__ = ["URI", "DICOMwebClient"]
