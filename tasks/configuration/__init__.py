"""The settings file: YAML and command-line overrides into the typed model, problems in plain words."""
