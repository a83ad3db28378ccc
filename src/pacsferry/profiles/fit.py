"""Fit a plugin's table of settings to the plugin's own model; core does it, profiles and plugins share it."""

from __future__ import annotations

from pacsferry.core.fitting import fit

__all__ = ["fit"]
