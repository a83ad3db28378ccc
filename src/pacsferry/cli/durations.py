"""How long an option says; nothing is waited for here."""

from __future__ import annotations


def seconds(option: str, text: str, *, days: int) -> float:
    """The seconds that ``text`` says: more than none, at most ``days``. Raises ``ConfigError`` naming the option."""
    from pacsferry.core import units
    from pacsferry.core.errors import ConfigError

    try:
        value = units.seconds(text)
    except ValueError as err:
        raise ConfigError(f"{option}: {err}") from None
    if not 0 < value <= days * 86_400:
        raise ConfigError(f"{option}: write more than nothing and at most {days}d", hint=f"for example {option} 10m")
    return value
