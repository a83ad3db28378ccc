"""Fixtures for every test: the real archives of ``support.peers``."""

pytest_plugins = ["support.peers"]
