"""Reading rules, validation and quarantine of the input tables."""
