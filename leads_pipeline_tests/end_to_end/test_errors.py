"""Whatever goes wrong: a clear first line, the right exit code, nothing half-written, no key, no buyer, no trace."""

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leads_pipeline.days import day_of, utc_now
from leads_pipeline_tests.end_to_end.error_runs import (
    DONE,
    FAILED,
    KEY,
    NEEDS_A_PERSON,
    OTHER_WEEK,
    PULLED_WEEK,
    SECOND_KEY,
    USAGE,
    Base,
    assert_nowhere,
    assert_tells,
    days_ago,
    leftovers_in,
    pull_arguments,
    server_with,
    tables_of,
)
from leads_pipeline_tests.end_to_end.warm_starts import WarmStarts
from leads_pipeline_tests.private_values import private_values
from leads_pipeline_tests.support import closed_port_url

OTHER = pull_arguments(OTHER_WEEK)
NOBODY = 65_534


@pytest.fixture(scope="module")
def good_base(tmp_path_factory: pytest.TempPathFactory, starts: WarmStarts) -> Iterator[Base]:
    with server_with(KEY, SECOND_KEY) as server:
        yield Base.build(tmp_path_factory.mktemp("good") / "project", server, starts)


@pytest.fixture
def base(good_base: Base, tmp_path: Path) -> Iterator[Base]:
    """A copy of the installation, and a server without faults to come."""
    yield good_base.copied_to(tmp_path / "project")
    good_base.server.clear_faults()


def test_a_wrong_key_needs_a_person(base: Base) -> None:
    wrong = base.having(INDIAMART_CRM_KEY="cAnAryWr0ngKey/x+y==")
    calls = len(base.server.calls)

    wrong.fails(*OTHER, exit_code=NEEDS_A_PERSON, says="IndiaMART rejected the CRM key: .*Copy the current key")

    assert len(base.server.calls) == calls + 1


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        (["html_200", "truncated_json"], "The run gave up after 5 failed calls; .*web page"),
        (["server_error", "http_500"], "The run gave up after 5 failed calls; .*error of its own"),
        (["hard_429"], "The run gave up after 5 failed calls; .*find out which other tool uses the same key"),
        (["cut_connection", "reset"], "The run gave up after 5 failed calls; .*(web page|No answer came)"),
        (["html_with_key", "html_502"], "The run gave up after 5 failed calls; .*error of its own"),
    ],
)
def test_a_server_that_keeps_failing_is_given_up_on(base: Base, faults: list[str], says: str) -> None:
    for number in range(6):
        base.server.inject(faults[number % len(faults)])
    calls = len(base.server.calls)

    base.fails(*OTHER, exit_code=FAILED, says=says)

    assert len(base.server.calls) == calls + 5


def test_a_server_that_is_down_is_said_to_be_unreachable(base: Base, tmp_path: Path) -> None:
    shell = base.shell.elsewhere(tmp_path / "new").having(INDIAMART_API_URL=closed_port_url())

    done = shell.leads(*OTHER)

    assert_tells(done, FAILED, "The run gave up after 5 failed calls; .*No answer came .*Check this machine's network")
    assert "refused" in done.problem
    assert [*leftovers_in(shell.data_dir)] == []
    assert_nowhere(KEY, base.buyers, shell.data_dir, [("command", done.words)])


def test_an_answer_that_holds_the_key_is_stored_without_it(base: Base) -> None:
    base.server.inject("echo_key")

    done = base.shell.leads(*OTHER)

    assert done.exit_code == DONE
    base.assert_clean(done)
    sidecars = [path.read_text() for path in (base.shell.data_dir / "raw").rglob("*.json")]
    assert sum('"key_masked": true' in text for text in sidecars) == 1


def test_a_good_way_with_bad_records_keeps_key_and_buyers_where_they_belong(good_base: Base, tmp_path: Path) -> None:
    """The key's `%`, `&`, `'` and `#` are what URLs, forms and HTML give a meaning; the records bring quarantine."""
    for fault in ("server_error", "garbage_records", "echo_key"):
        good_base.server.inject(fault)
    shell = good_base.shell.elsewhere(tmp_path / "second").having(INDIAMART_CRM_KEY=SECOND_KEY)
    buyers = private_values(good_base.server.truth(PULLED_WEEK[0], OTHER_WEEK[-1], key=SECOND_KEY))
    base = Base(shell, good_base.server, buyers)

    pulled = base.shell.leads(*pull_arguments(days_ago(20, 7)))
    shown = base.shell.leads("status", "--json")

    assert (pulled.exit_code, shown.exit_code) == (DONE, DONE)
    base.assert_clean(pulled, shown)
    with duckdb.connect(str(base.shell.data_dir / "leads.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM quarantine").fetchall() == [(3,)]
        assert connection.execute("SELECT count(*) FROM leads").fetchall() > [(20,)]


def day(days_back: int) -> str:
    return (day_of(utc_now()) - timedelta(days=days_back)).isoformat()


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        (day(400), day(380), "IndiaMART serves the last 365 days only: .*Nothing was asked"),
        (day(7), day(13), "--to .* is before --from .*Nothing was asked"),
        ("2026-02-30", day(7), "--from 2026-02-30 .*: a day is written YYYY-MM-DD, for example 2"),
        (day(-1), day(-1), ".* is still to come in India. Nothing was asked"),
    ],
)
def test_days_that_cannot_be_asked_for_are_refused_before_a_call(base: Base, first: str, last: str, says: str) -> None:
    calls = len(base.server.calls)

    base.fails("pull", "--from", first, "--to", last, exit_code=USAGE, says=says)

    assert len(base.server.calls) == calls


def test_an_account_that_nobody_set_up_is_refused(base: Base) -> None:
    base.fails(*OTHER, "--account", "acme", exit_code=USAGE, says="There is no account 'acme'. Accounts: indiamart")


def test_without_a_key_a_person_is_asked_for_one(base: Base) -> None:
    done = base.shell.having(INDIAMART_CRM_KEY="").leads(*OTHER)

    assert_tells(done, NEEDS_A_PERSON, "Account indiamart has no CRM key. Put INDIAMART_CRM_KEY=... into .env")
    base.assert_clean(done)


def test_answers_of_another_server_are_not_mixed_in(base: Base) -> None:
    elsewhere = base.having(INDIAMART_API_URL=closed_port_url())

    elsewhere.fails(*OTHER, exit_code=NEEDS_A_PERSON, says="The answers of account indiamart came from .*can't mix")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"INDIAMART_CRM_KEY": f"{KEY} with a space"}, "INDIAMART_CRM_KEY: expected the CRM key as the seller panel"),
        ({"INDIAMART_API_URL": f"mapi.indiamart.com/?glusr_crm_key={KEY}"}, "INDIAMART_API_URL: expected an address"),
        ({"INDIAMART_CALL_INTERVAL_SECONDS": KEY}, "INDIAMART_CALL_INTERVAL_SECONDS: "),
    ],
)
def test_a_setting_that_cannot_be_is_named_and_not_shown(base: Base, variables: dict[str, str], says: str) -> None:
    done = base.shell.having(**variables).leads(*OTHER)

    assert_tells(done, USAGE, r"The settings have 1 error\(s\); nothing was done\.")
    assert says in done.problem
    base.assert_clean(done)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (f"INDIAMART_CRM_KEY={KEY}\nthis is {KEY}\n".encode(), r".*\.env has lines that are not NAME=value: line 2\."),
        (b"\xff\xfe\x00I\x00N", r".*\.env can't be read .*It must be a text file in UTF-8"),
    ],
)
def test_a_broken_settings_file_is_named_with_its_line(base: Base, content: bytes, says: str) -> None:
    (base.shell.folder / ".env").write_bytes(content)

    base.fails(*OTHER, exit_code=USAGE, says=says)


@pytest.mark.parametrize("folder", ["/proc/leads", "a-file/data"])
def test_a_data_folder_that_cannot_be_made_is_named(base: Base, folder: str) -> None:
    (base.shell.folder / "a-file").touch()
    unwritable = base.shell.having(LEADS_DATA_DIR=folder)

    done = unwritable.leads(*OTHER)

    assert_tells(done, USAGE, f"The data folder .*{folder} can't be written .*LEADS_DATA_DIR")
    base.assert_clean(done)


def test_a_data_folder_of_somebody_else_is_named(base: Base) -> None:
    """As somebody whom modes bind: root's child gives up its rights."""
    become_nobody = f"""
import os
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
"""
    with tempfile.TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)
        data_dir = Path(open_to_all) / "data"
        data_dir.mkdir(mode=0o555)
        shell = base.shell.elsewhere(Path(open_to_all)).having(LEADS_DATA_DIR=str(data_dir))
        done = shell.leads(*OTHER, before=become_nobody)
        left = [*data_dir.iterdir()]

    assert_tells(done, USAGE, "The data folder .* can't be written .*Give this user write access")
    assert left == []


def published_ids(data_dir: Path) -> list[str]:
    with duckdb.connect(str(data_dir / "leads.duckdb"), read_only=True) as connection:
        return [row[0] for row in connection.execute("SELECT query_id FROM leads ORDER BY 1").fetchall()]


def true_ids(base: Base) -> list[str]:
    return sorted(lead.query_id for lead in base.server.truth(PULLED_WEEK[0], OTHER_WEEK[-1]))


def some_day_file(data_dir: Path) -> Path:
    files = sorted((data_dir / "leads" / "account=indiamart").rglob("leads.parquet"))
    return max(files, key=lambda path: pq.ParquetFile(path).metadata.num_rows)


def damage_bytes(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40] + b"PAR1")


def put_words_where_times_are(path: Path) -> None:
    table = pq.ParquetFile(path).read()
    place = table.column_names.index("query_time")
    words = pa.array([f"{name} asks" for name in table["sender_name"].to_pylist()])
    pq.write_table(table.set_column(place, "query_time", words), path)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [damage_bytes, put_words_where_times_are, empty])
def test_a_damaged_day_file_stops_the_merge_without_quoting_it(base: Base, damage: object) -> None:
    assert callable(damage)
    damage(some_day_file(base.shell.data_dir))

    done = base.fails(
        *pull_arguments(PULLED_WEEK, "--again"),
        exit_code=FAILED,
        says=r"indiamart__\w+ failed: (reading|looking).* failed \(Arrow\w+\)",
    )

    assert "Its log: `leads ui`, run " in done.problem


def test_a_store_that_refuses_rows_is_made_anew_without_quoting_them(base: Base) -> None:
    """DuckDB's word on a cast that fails is the value itself."""
    with duckdb.connect(str(base.shell.data_dir / "state" / "store.duckdb")) as connection:
        narrow = "SELECT * REPLACE (NULL::INTEGER AS sender_mobile) FROM leads LIMIT 0"
        connection.execute(f"CREATE TABLE narrow AS {narrow}").fetchall()
        connection.execute("DROP TABLE leads").fetchall()
        connection.execute("ALTER TABLE narrow RENAME TO leads").fetchall()

    done = base.shell.leads(*OTHER)

    assert (done.exit_code, done.problem) == (DONE, "")
    base.assert_clean(done)
    assert published_ids(base.shell.data_dir) == true_ids(base)


def test_a_full_disk_is_told_and_the_next_pull_continues(base: Base) -> None:
    """A process that may write no file above a size meets what a full disk does, in the largest file: the store."""
    data_dir = base.shell.data_dir
    limit = (data_dir / "state" / "store.duckdb").stat().st_size - 1
    set_limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    published_before = tables_of(data_dir)["leads"]

    failed = base.shell.leads(*OTHER, before=set_limit)
    published_after = tables_of(data_dir)["leads"]
    continued = base.shell.leads(*OTHER)

    assert_tells(failed, FAILED, "indiamart__leads_database failed: ")
    assert published_after == published_before
    assert continued.exit_code == DONE
    base.assert_clean(failed, continued)
    assert published_ids(data_dir) == true_ids(base)
