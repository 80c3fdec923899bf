"""What a daemon does with requested runs, without one: they stand in the queue, or are made in this process."""

from collections.abc import Mapping

import dagster as dg
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

_LOCATION = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="leads_pipeline.definitions"))


def queued_run(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    tags: Mapping[str, str],
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.QUEUED,
) -> dg.DagsterRun:
    """Return a run of the job that is queued, or of another status."""
    origin = RemoteRepositoryOrigin(_LOCATION, "__repository__").get_job_origin(job.name)
    return instance.create_run_for_job(job, tags=tags, status=status, remote_job_origin=origin)


def run_here(instance: dg.DagsterInstance, job: dg.JobDefinition, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """Make the requested run; a failure is in the result."""
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return job.execute_in_process(
        instance=instance, run_config={**request.run_config, **quiet}, tags=request.tags, raise_on_error=False
    )
