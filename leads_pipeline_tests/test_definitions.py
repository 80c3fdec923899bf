"""What Dagster loads: the same for every account, without a key, and the same storage however it is started."""

import os
import shutil
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager

from leads_pipeline.account_definitions import resolved_pull_job
from leads_pipeline.cli.instance import open_instance
from leads_pipeline.days import day_of, utc_now
from leads_pipeline.definitions import build_definitions
from leads_pipeline.indiamart.windows import MAX_WINDOW
from leads_pipeline.jobs import REPORT_JOB, pull_job_name
from leads_pipeline.settings import Settings, load_settings
from leads_pipeline.stages.workspace import Workspace
from leads_pipeline_tests.accounts_files import write_full, write_many
from leads_pipeline_tests.assets.installations import STAGES
from leads_pipeline_tests.support import make_settings

ROOT = Path(__file__).parents[1]
UPSTREAM = dict(zip(STAGES[1:], STAGES, strict=False))
REPORT = dg.AssetKey("leads_report")
PATH_SETTINGS = ("storage", "local_artifact_storage", "compute_logs")


@pytest.fixture
def untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder in which nothing was ever run, and an environment without settings."""
    for name in list(os.environ):
        if name.startswith(("LEADS_", "INDIAMART_", "DAGSTER_")):
            monkeypatch.delenv(name)
    for name in ("workspace.yaml", "dagster.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def two_accounts(folder: Path) -> Settings:
    acme = make_settings(folder, "http://127.0.0.1:9/", account="acme")
    bharat = make_settings(folder, "http://127.0.0.1:9/", account="bharat")
    return Settings(
        root=folder,
        data_dir=folder / "data",
        start_date=None,
        published_group=None,
        accounts=(*acme.accounts, *bharat.accounts),
    )


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_definitions(two_accounts(tmp_path_factory.mktemp("two")))


def assets_of(definitions: dg.Definitions) -> dict[tuple[str, ...], dg.AssetsDefinition]:
    """Return the accounts' chains; the report is no part of them."""
    keys = definitions.resolve_asset_graph().get_all_asset_keys() - {REPORT}
    return {tuple(key.path): definitions.resolve_assets_def(key) for key in keys}


def test_definitions_load_without_a_key_and_without_a_data_folder(untouched: Path) -> None:
    settings = load_settings()

    definitions = build_definitions(settings)

    assert not settings.accounts[0].has_key
    assert {*assets_of(definitions)} == {("indiamart", stage) for stage in STAGES}
    assert definitions.resolve_job_def(pull_job_name("indiamart")).name == "pull_indiamart"


def test_every_account_has_the_four_assets_in_a_chain(definitions: dg.Definitions) -> None:
    assets = assets_of(definitions)

    assert {*assets} == {(account, stage) for account in ("acme", "bharat") for stage in STAGES}
    for (account, stage), asset in assets.items():
        upstream = {tuple(key.path) for key in asset.asset_deps[asset.key]}
        assert upstream == ({(account, UPSTREAM[stage])} if stage in UPSTREAM else set())


def test_all_assets_share_one_partitions_definition_and_one_policy(definitions: dg.Definitions) -> None:
    """Only then does a backfill take the whole chain, of all accounts, in runs of 7 neighbouring days."""
    assets = [*assets_of(definitions).values()]
    first = assets[0].partitions_def

    assert isinstance(first, dg.DailyPartitionsDefinition)
    assert first.timezone == "Asia/Kolkata"
    assert [asset.partitions_def for asset in assets] == [first] * len(assets)
    assert {asset.backfill_policy for asset in assets} == {dg.BackfillPolicy.multi_run(MAX_WINDOW.days)}
    assert MAX_WINDOW.days == 7


def test_the_report_follows_every_database_outside_the_chain_and_the_accounts_jobs(definitions: dg.Definitions) -> None:
    """A year's backfill would write it 53 times, and one without days in the chain would break the backfill."""
    report = definitions.resolve_assets_def(REPORT)

    assert report.partitions_def is None
    assert {*report.asset_deps[REPORT]} == {dg.AssetKey([name, "leads_database"]) for name in ("acme", "bharat")}
    for job, expected in ((REPORT_JOB, {REPORT}), (pull_job_name("acme"), {dg.AssetKey(["acme", s]) for s in STAGES})):
        assert definitions.resolve_job_def(job).asset_layer.selected_asset_keys == expected


def test_only_the_asset_that_calls_has_a_pool_and_each_account_its_own(definitions: dg.Definitions) -> None:
    pools = {key: {op.pool for op in asset.op.iterate_op_defs()} for key, asset in assets_of(definitions).items()}

    for (account, stage), pool in pools.items():
        assert pool == ({f"indiamart_api_{account}"} if stage == "raw_responses" else {None})


def test_every_asset_has_a_group_kinds_and_a_description(definitions: dg.Definitions) -> None:
    for (account, stage), asset in assets_of(definitions).items():
        (spec,) = asset.specs
        assert spec.group_name == account
        assert spec.kinds
        assert len(spec.description or "") > 80, stage


def test_assets_with_tables_show_every_column_with_its_comment(definitions: dg.Definitions) -> None:
    for (_, stage), asset in assets_of(definitions).items():
        schema = asset.specs_by_key[asset.key].metadata.get("dagster/column_schema")
        if stage in ("normalized_leads", "leads"):
            assert isinstance(schema, dg.TableSchema)
            assert all(column.description for column in schema.columns)


def test_every_asset_has_checks_and_they_block_only_where_going_on_spreads_damage(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    blocking = {key.name for key in graph.asset_check_keys if graph.get_check_spec(key).blocking}

    assert {(key.asset_key.path[0], key.asset_key.path[1]) for key in graph.asset_check_keys} == {
        (account, stage) for account in ("acme", "bharat") for stage in STAGES
    }
    assert blocking == {"answers_are_as_they_came", "records_add_up", "ids_are_unique", "columns_are_the_contract"}
    assert all(len(graph.get_check_spec(key).description or "") > 50 for key in graph.asset_check_keys)


def test_assets_link_to_their_code_and_can_be_filtered_by_tags(definitions: dg.Definitions) -> None:
    for (account, stage), asset in assets_of(definitions).items():
        (spec,) = asset.specs
        (reference,) = spec.metadata["dagster/code_references"].code_references
        assert Path(reference.file_path) == ROOT / "leads_pipeline" / "assets" / f"{stage}.py"
        assert spec.tags["leads/account"] == account
        assert spec.tags["leads/layer"] in ("answers", "leads", "tables")


def test_leads_and_database_have_a_freshness_policy(definitions: dg.Definitions) -> None:
    for (_, stage), asset in assets_of(definitions).items():
        (spec,) = asset.specs
        assert (spec.freshness_policy is not None) is (stage in ("leads", "leads_database"))


def test_runs_stay_in_one_process(definitions: dg.Definitions) -> None:
    for account in ("acme", "bharat"):
        assert definitions.resolve_job_def(pull_job_name(account)).executor_def is dg.in_process_executor


def test_a_pull_runs_the_very_job_that_the_ui_shows(tmp_path: Path) -> None:
    settings = two_accounts(tmp_path)
    shown = build_definitions(settings)
    for account in settings.accounts:
        job = resolved_pull_job(settings, account)
        assert job.get_job_snapshot_id() == shown.resolve_job_def(pull_job_name(account.name)).get_job_snapshot_id()
        assert job.executor_def is dg.in_process_executor
        assert {key.path[0] for key in job.asset_layer.executable_asset_keys} == {account.name}


def test_the_first_load_decides_the_start_and_later_loads_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = two_accounts(tmp_path)
    first = first_day(build_definitions(settings))
    monkeypatch.setattr("leads_pipeline.stages.workspace.utc_now", lambda: utc_now() + timedelta(days=90))

    later = first_day(build_definitions(settings))

    assert first == day_of(utc_now()) - timedelta(days=364)
    assert later == first
    assert Workspace(settings).start_date() == first


def test_a_start_that_is_set_wins_and_is_kept(tmp_path: Path) -> None:
    settings = two_accounts(tmp_path)
    build_definitions(settings)
    wanted = date(2026, 1, 15)
    with_start = Settings(settings.root, settings.data_dir, wanted, None, settings.accounts)

    assert first_day(build_definitions(with_start)) == wanted
    assert first_day(build_definitions(settings)) == wanted


def first_day(definitions: dg.Definitions) -> date:
    partitions = next(iter(assets_of(definitions).values())).partitions_def
    assert partitions is not None
    return date.fromisoformat(partitions.get_partition_keys()[0])


def shipped(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def test_the_commands_use_the_settings_of_a_bare_dagster_dev_but_for_the_paths() -> None:
    root = shipped(ROOT / "dagster.yaml")
    commands = shipped(ROOT / "leads_pipeline" / "cli" / "instance.yaml")

    assert {name: value for name, value in root.items() if name not in PATH_SETTINGS} == commands


def test_a_bare_dagster_and_the_commands_see_the_same_runs(untouched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")  # restored afterwards, for open_instance sets it
    with dg.DagsterInstance.from_config(str(untouched)) as bare:
        run = bare.create_run_for_job(plain_job)
        bare_folders = folders_of(bare)

    with open_instance(load_settings()) as instance:
        assert [found.run_id for found in instance.get_runs()] == [run.run_id]
        assert folders_of(instance) == bare_folders
    assert all(untouched / "data" / "dagster" in folder.parents for folder in bare_folders)


def folders_of(instance: dg.DagsterInstance) -> tuple[Path, Path]:
    """Return where artifacts and captured logs of runs lie."""
    manager = instance.compute_log_manager
    assert isinstance(manager, LocalComputeLogManager)
    log = Path(manager.get_captured_local_path(["run"], "out")).resolve()
    return Path(instance.storage_directory()).resolve(), log


@dg.job
def plain_job() -> None:
    """A job that does nothing."""


def test_a_bare_dagster_loads_the_workspace_without_matplotlib_and_keeps_its_storage_under_data(
    untouched: Path,
) -> None:
    (untouched / "matplotlib.py").write_text("raise ImportError('loading must not need it')")
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate"],
        cwd=untouched,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "leads_pipeline" in done.stdout + done.stderr
    assert (untouched / "data" / "dagster").is_dir()
    assert not [path for path in untouched.iterdir() if path.name.startswith(".tmp_dagster_home")]


@pytest.fixture
def of_a_file(untouched: Path) -> dg.RepositoryDefinition:
    """What is loaded of an accounts file: two accounts, and three with names made like those of Dagster's objects."""
    path = write_full(untouched)
    tables = [f'[accounts.{name}]\nkey_env = "{name.upper()}_KEY"\n' for name in ("a", "a_daily", "pull_a")]
    path.write_text("\n".join([path.read_text(), *tables]))
    definitions = build_definitions(load_settings())
    dg.Definitions.validate_loadable(definitions)
    return definitions.get_repository_def()


def test_each_account_of_the_file_has_assets_a_pool_a_job_schedules_and_a_sensor_of_its_own(
    of_a_file: dg.RepositoryDefinition,
) -> None:
    names = ("acme", "beta", "a", "a_daily", "pull_a")
    assets = {key: of_a_file.assets_defs_by_key[key] for key in of_a_file.assets_defs_by_key if key != REPORT}
    pools = {key.path[0]: assets[key].op.pool for key in assets if key.path[1] == "raw_responses"}

    assert {tuple(key.path) for key in assets} == {(name, stage) for name in names for stage in STAGES}
    assert pools == {name: f"indiamart_api_{name}" for name in names}
    for name in names:
        job = of_a_file.get_job(pull_job_name(name))
        assert {key.path[0] for key in job.asset_layer.selected_asset_keys} == {name}
    schedules = {schedule.name: schedule for schedule in of_a_file.schedule_defs}
    assert {*schedules} == {f"{name}_{kind}" for name in names for kind in ("daily", "intraday")} | {"report_hourly"}
    assert {sensor.name for sensor in of_a_file.sensor_defs} >= {f"{name}_gaps" for name in names}


def test_schedules_and_sensor_of_an_account_are_as_its_table_says(of_a_file: dg.RepositoryDefinition) -> None:
    crons = {schedule.name: schedule.cron_schedule for schedule in of_a_file.schedule_defs}
    defined = (*of_a_file.schedule_defs, *of_a_file.sensor_defs)
    running = {one.name for one in defined if one.default_status.value == "RUNNING"}

    assert (crons["acme_daily"], crons["beta_daily"]) == ("5 1 * * *", "20 0 * * *")
    assert crons["acme_intraday"] == [f"0 {','.join(map(str, range(24)))} * * *"]
    assert crons["beta_intraday"] == ["0 0,3,6,9,12,15,18,21 * * *"]
    assert running >= {"acme_daily", "acme_intraday", "acme_gaps", "report_hourly"}
    assert not [name for name in running if name.startswith(("beta", "a_", "pull_"))]


def test_fifty_accounts_are_loaded_in_a_few_seconds(untouched: Path) -> None:
    names = write_many(untouched, 50)
    started = time.process_time()

    repository = build_definitions(load_settings()).get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs()}

    assert time.process_time() - started < 10
    assert jobs >= {pull_job_name(name) for name in names}
    assert len(repository.assets_defs_by_key) == 50 * len(STAGES) + 1
