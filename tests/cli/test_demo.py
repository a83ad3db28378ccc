from support.commands import call, run


def test_the_demo_needs_nothing_and_can_be_run_again(tmp_path):
    first = run("demo", cwd=tmp_path, timeout=120)
    assert first.code == 0, first
    told = first.document
    assert told["identical"] is True
    assert [one["transport"] for one in told["loads"]] == ["wado-rs", "c-get", "c-move"]
    assert {one["stored"] for one in told["loads"]} == {86}
    assert told["folder"] == str(tmp_path / "demo")
    assert (tmp_path / "demo" / "research" / "demo-wado-rs" / "reports" / "report.html").exists()
    again = call("demo", "--format", "table")
    assert again.code == 0
    assert "the same 86 files, byte for byte, over all transports" in again.out
