"""Versions against what is known of them."""

import pytest

from pacsferry.core.advisories import affected, findings
from pacsferry.core.ports import Standing


@pytest.mark.parametrize(
    ("product", "version", "known"),
    [
        ("pydicom", "3.0.1", ["CVE-2026-32711"]),
        ("pydicom", "3.0.2", []),
        ("pydicom", "3.1.0", []),
        ("pydicom", "2.4.4", ["CVE-2026-32711"]),
        ("pynetdicom", "3.0.3", ["CVE-2026-56445"]),
        ("pynetdicom", "3.0.4", []),
        ("dcmtk", "3.6.7", ["CVE-2026-50003"]),
        ("dcmtk", "3.7.0", ["CVE-2026-50003"]),
        ("dcmtk", "3.7.1", []),
        ("dcmtk", "3.6.10", ["CVE-2026-50003"]),
        ("requests", "2.32.3", ["CVE-2024-47081"]),
        ("urllib3", "2.6.2", ["CVE-2026-21441", "CVE-2026-44431"]),
        ("urllib3", "2.6.3", ["CVE-2026-44431"]),
        ("urllib3", "2.7.0", []),
        ("something", "1.0", []),
    ],
)
def test_a_version_is_compared_number_by_number(product, version, known):
    assert [one.identifier for one in affected(product, version)] == known


def test_a_vulnerable_version_is_a_warning_with_what_to_do():
    (found,) = findings("dcmtk", "3.6.7")
    assert found.status is Standing.WARNING
    assert "CVE-2026-50003" in found.text
    assert "+B" in found.advice


def test_a_version_of_which_nothing_is_known_is_told_as_well():
    (found,) = findings("pydicom", "3.0.2")
    assert (found.status, found.probe) == (Standing.OK, "versions.pydicom")
