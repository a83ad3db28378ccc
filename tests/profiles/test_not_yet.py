"""The contract's own example: every key is known by name, built or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacsferry.core.errors import ConfigError
from pacsferry.profiles.read import resolve

SUPPORTED = """
requires = ["pacsferry>=0"]

[archive]
name    = "main-pacs"
vendor  = "orthanc"
charset = "ISO_IR 100"
quirks.requires_study_date = true

[archive.dimse]
host = "127.0.0.1"
port = 4242
ae_title = "ORTHANC"
calling_ae_title = "PACSFERRY"
sop_classes = []
tls = { mode = "off" }
user_identity = { use = "none" }

[archive.dimse.receiver]
host = "127.0.0.1"
port = 11112
ae_title = "PACSFERRY"
allow = ["127.0.0.1/32"]
tls = { mode = "off" }

[archive.dicomweb]
url  = "http://127.0.0.1:8042/dicom-web"
auth = { use = "none" }
proxy = ""

[archive.timeouts]
connect = "10s"
stall = "90s"
quiet = "30s"
nearline = "30m"

[find]
use = "c-find"

[[transport]]
use = "wado-rs"
[[transport]]
use = "c-get"
[[transport]]
use = "c-move"

[budget]
associations = 2
batch_size   = 30
batch_wait   = "10s"
bytes_per_minute = "2GB"
hours        = ["mon-fri 19:00-06:00", "sat,sun"]
hours_end    = "finish"
timezone     = "Europe/Zurich"
max_studies  = 500

[select]
modality           = { only = ["CT", "MR"] }
sop_class          = { not = ["1.2.840.10008.5.1.4.1.1.88.67"] }
series_description = { not = ["*SCOUT*"] }

[exclude]
patients = "file:objections.txt"

[deidentify]
use = "ps3.15"

[pseudonyms]
use = "cases"
per = "patient"
order = "shuffled"

[[gate]]
use = "burned-in"

[layout]
use = "cases"

[[report]]
use = "html"

[output]
images  = "./research"
private = "./private"
mode    = "0640"

[policy]
require = ["approval"]
"""


def site(tmp_path: Path, text: str) -> str:
    path = tmp_path / "site.toml"
    path.write_text(text)
    return str(path)


def test_all_that_is_built_is_read_as_it_is_meant(tmp_path: Path) -> None:
    profile = resolve(site(tmp_path, SUPPORTED)).profile
    assert profile.archive.quirks.requires_study_date is True
    assert profile.archive.timeouts.nearline == 1800
    assert profile.archive.dimse is not None
    assert profile.archive.dimse.receiver is not None
    assert profile.archive.dimse.receiver.allow == ("127.0.0.1/32",)
    assert profile.find is not None
    assert profile.find.use == "c-find"
    assert [one.use for one in profile.transport] == ["wado-rs", "c-get", "c-move"]
    assert profile.budget.batch_wait == 10
    assert profile.budget.bytes_per_minute == 2_000_000_000
    hours = profile.budget.terms().hours
    assert hours is not None
    assert str(hours.zone) == "Europe/Zurich"
    assert sum(hours.week) == 5 * 11 * 60 + 2 * 24 * 60 - 6 * 60
    assert [one.use for one in profile.gate] == ["burned-in"]
    assert profile.exclude.patients == "file:objections.txt"
    assert profile.policy.require == ("approval",)


def test_select_wants_what_it_says(tmp_path: Path) -> None:
    wants = resolve(site(tmp_path, SUPPORTED)).profile.select.selection().wants
    assert wants({"modality": "CT", "sop_class": "1.2.840.10008.5.1.4.1.1.2", "series_description": "native"})
    assert not wants({"modality": "US"})
    assert not wants({"modality": "CT", "sop_class": "1.2.840.10008.5.1.4.1.1.88.67"})
    assert not wants({"modality": "CT", "series_description": "a Scout view"})
    assert wants({"modality": None, "series_description": None})


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("export", '[[export]]\nuse = "header-index"'),
        ("destination", '[[destination]]\nname = "research-pacs"\nuse = "c-store"\naccepts = "deidentified"'),
        ("pseudonyms.use", '[pseudonyms]\nuse = "mapping"\nfile = "ids.csv"'),
        ("pseudonyms.use", '[pseudonyms]\nuse = "de-id-service"'),
        ("layout.use", '[layout]\nuse = "subjects"'),
    ],
)
def test_what_comes_later_is_refused_by_name_and_never_ignored(key: str, text: str, tmp_path: Path) -> None:
    path = site(tmp_path, f'extends = "orthanc"\n{text}')
    with pytest.raises(ConfigError) as caught:
        resolve(path)
    said = str(caught.value)
    assert f"  {key}: " in said
    assert "not yet supported" in said
    assert "unknown key" not in said
    assert "missing" not in said
    assert "1 error\n" in said
    assert path in said


def test_a_slip_is_another_error_than_what_comes_later(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(site(tmp_path, 'extends = "orthanc"\n[budget]\nbytes_per_minut = "2GB"\n[[exprot]]\nuse = "x"'))
    assert "budget.bytes_per_minut: unknown key; did you mean 'bytes_per_minute'?" in str(caught.value)
    assert "exprot: unknown key; did you mean 'export'?" in str(caught.value)


def test_a_literal_secret_is_never_repeated(tmp_path: Path) -> None:
    secret = "hunter2-literal"  # noqa: S105
    text = f"""extends = "orthanc"
[archive.dicomweb]
url = "http://me:{secret}@127.0.0.1/dicom-web"
proxy = "http://me:{secret}@proxy:8080"
[exclude]
patients = "{secret}"
"""
    with pytest.raises(ConfigError) as caught:
        resolve(site(tmp_path, text), [f"archive.dimse.user_identity.passcode={secret}"])
    for address in (
        "archive.dicomweb.url",
        "archive.dicomweb.proxy",
        "exclude.patients",
        "archive.dimse.user_identity.passcode",
    ):
        assert f"  {address}: " in str(caught.value)
    assert secret not in str(caught.value)
    assert secret not in repr(caught.value.__cause__) + repr(caught.value.__context__)
