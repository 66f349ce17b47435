"""The command line, one module per group of commands. Nothing here imports Prefect or pandas until a command runs."""
