"""The Prefect tasks, one file per stage: retries, cache key, artifact, then one call into a room."""
