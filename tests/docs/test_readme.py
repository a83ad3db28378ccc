"""The README's five minutes, typed as they stand there, against a real Orthanc."""

import json

import pytest

from pacsferry.testing.samples import demo_studies
from support.commands import check, run
from support.pages import README, Block, lines, section, words

HEADING = "Five minutes against your own Orthanc"
STORED = 52  # 48 images of ACC0001, 4 of ACC0004


def typed():
    """The profile to save, and the commands in order."""
    text = section(README, HEADING)
    parts = [part.partition("\n```")[0] for part in text.split("```toml\n")[1:2]]
    shell = "".join(part.partition("```")[0] for part in text.split("```console\n")[1:])
    return parts[0], [words(line) for line in lines(Block(README, 0, "console", shell))]


@pytest.fixture
def answers(orthanc, tmp_path):
    """What each command answered, in a folder that holds nothing but the profile of the README."""
    orthanc.clear()
    orthanc.upload(demo_studies())
    profile, commands = typed()
    (tmp_path / "site.toml").write_text(profile, encoding="utf-8")
    sets = [f"archive.dimse.port={orthanc.dicom_port}", f"archive.dicomweb.url={orthanc.dicomweb_url}"]
    env = {"PACSFERRY_STATE": str(tmp_path / "state")}
    told = []
    for program, *arguments in commands:
        if program == "export":
            env |= dict(one.split("=", 1) for one in arguments)
            continue
        assert program == "pacsferry"
        told.append(run(*arguments, *(word for one in sets for word in ("--set", one)), cwd=tmp_path, **env))
        assert told[-1].code == 0, (arguments, told[-1].err, told[-1].out)
        check(json.loads(told[-1].out))
    orthanc.clear()
    return {answer.document["schema"].removeprefix("pacsferry."): answer.document for answer in told}


def test_five_minutes_against_orthanc(answers, tmp_path):
    assert list(answers) == ["check", "echo", "find", "plan", "load", "status", "verify-files"]
    assert [one["status"] for one in answers["echo"]["answers"]] == ["ok", "ok"]
    assert [(row["status"], row["missing"], row["held"]) for row in answers["load"]["results"]] == [("ok", 0, 0)] * 2
    assert answers["status"]["counts"]["stored"] == STORED
    assert len(list((tmp_path / "research/stroke").rglob("*.dcm"))) == STORED
    for there in ("research/stroke/reports/report.html", "private/stroke/secret", "private/stroke/key.csv"):
        assert (tmp_path / there).is_file()
    assert "ACC0001" in (tmp_path / "private/stroke/key.csv").read_text()


def test_the_file_of_the_readme_extends_the_shipped_profile():
    profile, commands = typed()
    assert profile.startswith('extends = "orthanc"')
    assert ["pacsferry", "load", "stroke", "ACC0001", "ACC0004"] in commands
