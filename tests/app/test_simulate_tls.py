"""``simulate`` behind TLS prints a profile that works as it is; files that do not fit are refused by option."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacsferry.app import pinging
from pacsferry.app.simulating import SimulateOptions, simulating
from pacsferry.core.errors import ConfigError
from support.certificates import Authority


@pytest.mark.parametrize("mutual", [False, True])
def test_the_printed_profile_talks_tls(tmp_path: Path, mutual: bool) -> None:
    hospital = Authority(tmp_path / "ca")
    pair = hospital.issue("pacs")
    options = SimulateOptions(tls_cert=pair.cert, tls_key=pair.key, tls_ca=hospital.ca if mutual else None)
    with simulating(options) as running:
        assert running.profile.count('tls = { mode = "required"') == 2
        site = tmp_path / "sim.toml"
        site.write_text(running.profile)
        answers = {one.service: one.ok for one in pinging.echo(str(site), ())}
        plain = pinging.echo(str(site), ["archive.dimse.tls.mode=off"])
    assert answers["C-ECHO"]
    assert [one.error for one in plain if one.service == "C-ECHO" and "speaks TLS" in (one.error or "")]


def test_files_that_do_not_fit_are_named_by_option(tmp_path: Path) -> None:
    hospital = Authority(tmp_path / "ca")
    pair, other = hospital.issue("pacs"), hospital.issue("other")
    for options in (
        SimulateOptions(tls_key=pair.key),
        SimulateOptions(tls_ca=hospital.ca),
        SimulateOptions(tls_cert=pair.cert),
        SimulateOptions(tls_cert=pair.cert, tls_key=other.key),
        SimulateOptions(tls_cert=tmp_path / "none.pem"),
    ):
        with pytest.raises(ConfigError, match="--tls-cert"), simulating(options):
            pass
