import json

import pytest

from leads_pipeline_tests.cli.installation import Installation

LEAD = {"UNIQUE_QUERY_ID": "2769560468", "QUERY_TYPE": "W", "QUERY_TIME": "2024-05-23 15:44:28", "SENDER_NAME": "Asha"}


def test_each_file_has_a_line_and_a_row_and_a_refused_one_exits_with_1(installation: Installation) -> None:
    folder = installation.root / "saved"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps([LEAD]))
    (folder / "b.html").write_text("<html>Asha</html>")
    (folder / "c.json").write_text("[]")
    printed = installation.leads("import", str(folder), "--account", "indiamart", "--dry-run")
    assert (printed.code, installation.data_dir.exists()) == (1, False)
    printed = installation.leads("import", str(folder), "--account", "indiamart")
    assert printed.code == 1
    assert "a.json: 1 record(s) (v2) = 1 new + 0 updated + 0 duplicate + 0 quarantined." in printed.err
    assert "b.html: refused: it is a web page, not JSON." in printed.err
    assert "c.json: an answer without leads (ambiguous_empty): nothing to import." in printed.err
    assert "1 of 3 file(s) were refused" in printed.err
    assert "3 file(s) 1 1 0 0 0" in printed.text
    assert "Asha" not in printed.text
    assert json.loads(installation.leads("query", "select query_id from leads", "--json").out) == [
        {"query_id": "2769560468"}
    ]
    assert json.loads(installation.leads("status", "--json").out)["accounts"][0]["last_call"] is None


def test_json_for_machines_and_exit_0_when_all_is_taken(installation: Installation) -> None:
    (installation.root / "a.json").write_text(json.dumps(LEAD))
    for new in (1, 0):
        printed = installation.leads("import", "a.json", "-a", "indiamart", "--json", "--fetched-at", "2024-05-24")
        assert printed.code == 0
        counts = {"received": 1, "new": new, "updated": 0, "duplicate": 1 - new, "quarantined": 0}
        about = {"file": "a.json", "source_apis": ["v2"], "note": None, "refused": None}
        assert json.loads(printed.out) == {"files": [{**about, **counts}], "total": counts}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("a.json", "-a", "nobody"), "There is no account 'nobody'"),
        (("nowhere", "-a", "indiamart"), "There is no file or folder nowhere"),
        (("a.json", "-a", "indiamart", "--fetched-at", "noon"), "expected a day or a time"),
        (("a.json", "-a", "indiamart", "--fetched-at", "2999-01-01"), "still to come"),
        (("a.json",), "--account"),
    ],
)
def test_wrong_usage_exits_with_2_and_imports_nothing(
    installation: Installation, arguments: tuple[str, ...], text: str
) -> None:
    (installation.root / "a.json").write_text(json.dumps(LEAD))
    printed = installation.leads("import", *arguments)
    assert printed.code == 2
    assert text in printed.text
    assert not (installation.data_dir / "raw").exists()
