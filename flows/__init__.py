"""The flows: in which order the stages of a run happen, and the command line."""
