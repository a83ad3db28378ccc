"""One large multi-frame comes over WADO-RS without being held in memory; `tools/bench_large.py` does it with 2 GB."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support import large
from support.sites import Site

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import bench_watch

from pacsferry.testing.samples import ct_study, part10

pytestmark = pytest.mark.peers
MIB = 2**20
FRAMES = 48


def peak(folder: Path, site: Site, accession: str) -> tuple[int, int]:
    """Exit code, and the most memory that loading an accession needed."""
    words = ["load", f"p-{accession.lower()}", accession, "--site", str(site.write())]
    program = [sys.executable, "-c", "from pacsferry.cli.main import run; run()"]
    done = bench_watch.run([*program, *words], cwd=folder, env={"PACSFERRY_STATE": str(folder / "state")}, look=True)
    return done.code, done.peak


def test_memory_is_flat_whatever_the_size_of_an_object(orthanc, tmp_path):
    orthanc.clear()
    orthanc.upload([part10(ct_study(slices=1, accession="SMALL1")[0])])
    size = large.write(tmp_path / "large.dcm", FRAMES)
    large.upload(orthanc.url, tmp_path / "large.dcm")
    site = Site(folder=tmp_path, ae_title=orthanc.aet, dimse_port=orthanc.dicom_port, dicomweb_url=orthanc.dicomweb_url)
    code, start = peak(tmp_path, site, "SMALL1")
    assert code == 0
    code, most = peak(tmp_path, site, large.ACCESSION)
    assert code == 0
    (stored,) = site.root("p-large1").rglob("*.dcm")
    assert stored.stat().st_size > size - 64 * 1024
    assert most - start < size / 2, f"{(most - start) / MIB:.0f} MiB over start for {size / MIB:.0f} MiB"
