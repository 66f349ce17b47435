"""The Prefect tasks, one module per stage. They add caching, retries and artifacts to a function of a room."""
