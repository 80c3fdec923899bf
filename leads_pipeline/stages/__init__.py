"""The stages of the flow, one module per asset: compose source, leads and storage. Know nothing of Dagster."""
