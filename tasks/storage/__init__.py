"""The lake, the source files and the settings file: where the product touches disk and bucket."""
