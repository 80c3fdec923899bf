"""Asset checks: what is red or yellow in the UI without a failed run. Thin over `stages.checking`.

Each asset's checks are one step, which runs after its asset; each can be run alone too, and then looks at all days.
A check **blocks** (the run stops before the next asset) where going on would spread the damage: into the tables from
a damaged answer or sums that don't add up, and to analysts from files with ids twice or other columns.
"""

from leads_pipeline.checks.account_checks import build_account_checks
from leads_pipeline.checks.coverage import check_coverage, coverage_finding, first_day_due

__all__ = ["build_account_checks", "check_coverage", "coverage_finding", "first_day_due"]
