"""find, echo, check, init, describe, plugins and schema."""

import csv
import io
import json
import socket
import stat

import pytest

from support.commands import at_terminal, call, check

from .conftest import CANARIES


def test_find_shows_what_identifies_nobody(there, site):
    told = call("find", "ACC100", "-s", site)
    (row,) = told.document["results"]
    assert told.code == 0
    assert (row["request"], row["modalities"], row["image_count"]) == (1, ["CT"], 4)
    assert set(row) == {
        "request", "modalities", "series_count", "image_count", "availability", "sex", "age", "year"
    }  # fmt: skip
    assert not any(canary in told.out for canary in (*CANARIES, "ACC100"))


def test_query_is_find(there, site):
    assert call("query", "ACC100", "-s", site).document == call("find", "ACC100", "-s", site).document


def test_find_stops_before_the_study_that_would_exceed_a_limit(there, site):
    every = call("find", "--from", "20000101", "-s", site).document["results"]
    first = every[0]["image_count"]
    assert len(every) > 1
    for words, count in ((first, 1), (first - 1, 0), (sum(row["image_count"] for row in every), len(every))):
        told = call("find", "--from", "20000101", "--max-images", words, "-s", site)
        assert (told.code, len(told.document["results"])) == (0, count)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ('layout.use="case"', "layout.use: no layout named 'case'; did you mean 'cases'?"),
        ('gate=[{use="sop-clas"}]', "gate.0.use: no gate named 'sop-clas'; did you mean 'sop-class'?"),
        ('gate=[{use="sop-class",foo=1}]', "gate.0.foo: unknown key"),
    ],
)
def test_a_wrong_name_has_its_address_and_nobody_is_contacted(there, site, key, says):
    told = call("find", "ACC100", "-s", site, "--set", key)
    assert (told.code, there.archive.log.of()) == (2, [])
    assert told.document["error"].startswith(says)


def test_find_nothing_is_3(there, site):
    told = call("find", "NOPE", "-s", site)
    assert (told.code, told.document["status"], told.document["not_found"]) == (3, "not_found", [1])


def test_find_without_a_query_asks_for_the_last_30_days(there, site):
    assert call("find", "-s", site).code == 3


def test_a_failed_query_is_never_an_empty_answer(there, site):
    there.archive.faults.add("http-500")
    told = call("find", "ACC100", "-s", site)
    assert (told.code, told.document["status"]) == (4, "failed")
    assert told.document["errors"][0]["request"] == 1


def test_identities_need_a_terminal_or_a_file(there, site):
    told = call("find", "ACC100", "--identified", "-s", site)
    assert (told.code, told.document["code"]) == (7, 7)
    assert call("find", "ACC100", "--save", "private/x.csv", "-s", site).code == 2


@pytest.mark.parametrize("target", ["found.csv", "research/found.csv", "private/../found.csv", "private"])
def test_identities_are_saved_in_the_private_folder_only(there, site, tmp_path, target):
    assert call("find", "ACC100", "--identified", "--save", target, "-s", site).code == 7
    assert not list(tmp_path.rglob("found.csv"))


def test_a_link_out_of_the_private_folder_is_no_way_out(there, site, tmp_path):
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "out").symlink_to(tmp_path)
    assert call("find", "ACC100", "--identified", "--save", "private/out/f.csv", "-s", site).code == 7


def test_saved_identities_are_whole_private_and_audited(there, site, tmp_path):
    told = call("find", "ACC100", "--identified", "--save", "private/found.csv", "-s", site)
    assert told.code == 0
    saved = tmp_path / "private" / "found.csv"
    assert told.document["saved"] == str(saved)
    assert not any(canary in told.out + told.err for canary in CANARIES)
    (row,) = csv.DictReader(io.StringIO(saved.read_text()))
    assert row["PatientID"] == "CANARYID7"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert stat.S_IMODE(saved.parent.stat().st_mode) == 0o700
    assert call("audit").document["events"][-1]["details"]["kind"] == "identified"
    call("find", "ACC100", "--identified", "--save", "private/found.json", "-s", site)
    whole = json.loads((tmp_path / "private" / "found.json").read_text())
    check(whole)
    assert whole["results"][0]["PatientID"] == "CANARYID7"


def test_identities_at_a_terminal(there, site, tmp_path):
    told = at_terminal("find", "ACC100", "--identified", "-s", site, cwd=tmp_path, columns=2000)
    assert told.code == 0
    assert "CANARYID7" in told.out


def test_find_csv(there, site):
    (row,) = csv.DictReader(io.StringIO(call("find", "ACC100", "-s", site, "--format", "csv").out))
    assert (row["modalities"], row["image_count"]) == ("CT", "4")


def test_echo_times_both_services(there, site):
    told = call("echo", "-s", site)
    assert told.code == 0
    assert [one["service"] for one in told.document["answers"]] == ["C-ECHO", "QIDO-RS"]
    assert all(one["seconds"] > 0 for one in told.document["answers"])


def test_a_service_that_is_silent_is_told(there, site):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        told = call("echo", "-s", site, "--set", f"archive.dimse.port={taken.getsockname()[1]}")
        assert (told.code, told.document["status"]) == (5, "incomplete")
        assert [one["status"] for one in told.document["answers"]] == ["failed", "ok"]


def test_nobody_answers_is_4(tmp_path):
    told = call(
        "echo", "-s", "demo", "--set", "archive.dimse.port=9", "--set", "archive.dicomweb.url=http://127.0.0.1:9/"
    )
    assert (told.code, told.document["status"]) == (4, "failed")


def test_check_contacts_nobody_and_says_where_it_writes(there, site, tmp_path):
    told = call("check", "-s", site)
    assert told.code == 0
    texts = {one["where"]: one["text"] for one in told.document["checks"]}
    assert texts["output.images"] == str(tmp_path / "research")
    assert not (tmp_path / "research").exists()


def test_check_names_the_key_and_what_would_be_right(there, site):
    told = call("check", "-s", site, "--set", 'layout.use="casess"')
    assert told.code == 2
    (bad,) = [one for one in told.document["checks"] if one["status"] == "failed"]
    assert bad["where"] == "layout"
    assert "did you mean 'cases'" in bad["text"]


def test_a_profile_that_is_wrong_is_2(tmp_path):
    (tmp_path / "s.toml").write_text('extends = "research-base"\n[archive]\nname = "x"\nnonsense = 1\n')
    told = call("check", "-s", "./s.toml")
    assert (told.code, told.document["schema"]) == (2, "pacsferry.error")
    assert "archive.nonsense" in told.document["error"]


def test_without_a_site_it_says_which_option(tmp_path):
    told = call("check")
    assert told.code == 2
    assert "--site" in told.document["hint"]


def test_the_site_can_stand_in_the_environment(there, site):
    assert call("check", PACSFERRY_SITE=site).code == 0


def test_init_makes_a_project_once(there, site, tmp_path):
    told = call("init", "p", "-s", site, "--approval", "EC-1", "--max-cases", "3")
    assert told.code == 0
    assert 'approval = "EC-1"' in (tmp_path / "private" / "p" / "project.toml").read_text()
    assert call("init", "p", "-s", site).code == 2


def test_init_asks_for_what_the_policy_requires(there, site):
    told = call("init", "p", "-s", site, "--set", 'policy.require=["approval"]')
    assert told.code == 7
    assert "--approval" in told.document["hint"]


def test_describe_is_text_unless_json_is_asked_for(there, site):
    told = call("describe", "-s", site)
    assert told.code == 0
    assert told.out.startswith("De-identified by DICOM PS3.15")
    assert call("describe", "-s", site, "--json").document["sentences"] == told.out.splitlines()


def test_plugins_lists_names_owners_and_kinds():
    told = call("plugins").document
    assert {"kind": "layout", "name": "flat", "owner": "pacsferry:layouts", "status": "ok"}.items() <= next(
        one for one in told["plugins"] if one["name"] == "flat"
    ).items()
    assert told["broken"] == []


def test_a_broken_plugin_is_listed_with_why(monkeypatch):
    from pacsferry.app import opening
    from pacsferry.core import registry

    class Misspelled:
        __name__ = "acme"

        @staticmethod
        @__import__("pacsferry").hookimpl
        def pacsferry_transport():
            return ()

    broken = registry.load(extra=[Misspelled()])
    monkeypatch.setattr("pacsferry.app.plugins", lambda: broken)
    assert opening.plugins() is not broken
    told = call("plugins")
    assert (told.code, told.document["status"]) == (0, "warning")
    assert told.document["broken"][0]["plugin"] == "acme"
    assert "acme did not load" in call("plugins", "--format", "table").out


def test_plugins_new_writes_a_skeleton(tmp_path):
    told = call("plugins", "new", "tide", "--kind", "layout", "--into", tmp_path / "tide")
    assert told.code == 0
    assert any(path.endswith("pyproject.toml") for path in told.document["files"])
    assert call("plugins", "new", "tide", "--kind", "nonsense").code == 2
    assert call("plugins", "new", "tide").code == 2


def test_schema_lists_and_prints():
    names = call("schema").out.split()
    assert {"load", "error", "site", "status"} <= set(names)
    assert call("schema", "--json").document["schemas"] == names
    for name in names:
        assert json.loads(call("schema", name).out)["$schema"].startswith("https://json-schema.org/")
    assert json.loads(call("schema", "pacsferry.load").out) == json.loads(call("schema", "load").out)


def test_an_unknown_schema_suggests_the_nearest():
    told = call("schema", "laod", "--json")
    assert told.code == 2
    assert "did you mean 'load'" in told.document["error"]
    text = call("schema", "laod")
    assert (text.out, text.code) == ("", 2)
    assert text.err.startswith("pacsferry: no schema named 'laod'")


def test_describe_can_list_every_element(there, site):
    rows = call("describe", "-s", site, "--table", "--json").document["elements"]
    assert {"tag": "(0010,0010)", "keyword": "PatientName"}.items() <= next(
        one for one in rows if one["keyword"] == "PatientName"
    ).items()
    text = call("describe", "--table").out
    assert "PatientName" in text
    assert not text.startswith("{")
    assert call("describe", "--table", "--format", "csv").out.startswith("tag,keyword,vr,action,source\n")
