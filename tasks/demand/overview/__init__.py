"""Overview of the input tables for `restock check`: what they hold and what looks wrong, without a run."""
