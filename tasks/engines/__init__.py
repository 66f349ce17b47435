"""Engines: where the shards of a run are computed. Their results are in the lake, regardless of the engine."""
