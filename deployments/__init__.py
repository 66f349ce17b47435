"""When and where the flows run."""
