"""Examine archives of the tests: quickly, in this process, and load with the profile that comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacsferry import app
from pacsferry.app.doctor import Asked, Diagnosed, Limits, doctor
from pacsferry.app.doctor.writing import Outputs
from pacsferry.core.query import gather
from pacsferry.testing.contracts.kit import free_port
from pacsferry.testing.samples import ct_study

#: Patient enough for a simulator, short enough for a test.
SHORT = 'archive.timeouts={ connect = "2s", stall = "2s", quiet = "1s" }'
CANARIES = ("CANARY", "Kanarie", "ACC00")


def holdings(studies: int = 12, slices: int = 2) -> list[Any]:
    """Studies of as many patients and days."""
    return [
        one
        for number in range(studies)
        for one in ct_study(
            slices=slices,
            rows=16,
            columns=16,
            accession=f"ACC{number:03}",
            patient_id=f"CANARY{number}",
            patient_name="Kanarie^Ännchen",
            date=f"202405{number + 1:02}",
            seed=number,
        )
    ]


@dataclass
class Practice:
    """A folder in which one archive after the other is examined."""

    folder: Path
    port: int = field(default_factory=free_port)
    sets: tuple[str, ...] = (SHORT,)

    @property
    def receiver(self) -> str:
        return f"PACSFERRY@127.0.0.1:{self.port}"

    @property
    def profile(self) -> Path:
        return self.folder / "found.toml"

    def examine(self, dimse: str | None = None, dicomweb: str | None = None, **more: Any) -> Diagnosed:
        """By address alone; what is found is written as a profile where there is one."""
        limits = more.pop("limits", Limits(pause=0.0))
        asked = Asked(
            dimse=dimse, dicomweb=dicomweb, receiver=more.pop("receiver", self.receiver), sets=self.sets, **more
        )
        found = doctor(asked, limits, target=self.profile)
        Outputs(profile=self.profile, overwrite=True).write(found)
        return found

    def simulated(self, sim: Any, *, register: bool = True, **more: Any) -> Diagnosed:
        """The same for a simulator, over both protocols unless told otherwise."""
        if register:
            sim.register("PACSFERRY", "127.0.0.1", self.port)
        more.setdefault("dicomweb", sim.dicomweb_url)
        return self.examine(f"{sim.ae_title}@{sim.host}:{sim.dimse_port}", **more)

    def load(self, *accessions: str, project: str = "p", sets: tuple[str, ...] = ()) -> app.Loaded:
        """With the profile that was written, as it stands."""
        return app.load(project, gather(accessions), app.LoadOptions(workers=0), site=str(self.profile), sets=sets)


def by_probe(found: Diagnosed) -> dict[str, Any]:
    """The findings by name."""
    return {one.probe: one for one in found.findings}
