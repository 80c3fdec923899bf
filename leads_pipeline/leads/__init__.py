"""What a lead is: its schema, normalisation and merge. Pure functions over pandas; no I/O."""
