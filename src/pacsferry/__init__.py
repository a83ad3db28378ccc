"""Carry imaging studies from a clinical archive to research and leave the identities on the shore."""

from .core.hookspecs import hookimpl as hookimpl

__version__ = "0.1.0"
