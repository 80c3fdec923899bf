"""What the asset checks look at: facts from the stores, judged by plain functions. Know nothing of Dagster."""
