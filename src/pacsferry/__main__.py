"""``python -m pacsferry``: the same as the installed command."""

from .cli.main import run

run()
