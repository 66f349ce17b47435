"""SageMaker's DeepAR container contract on a folder, with GluonTS on torch inside (docs/deepar.md)."""
