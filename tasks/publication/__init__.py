"""Publication of a run: the ERP file, the output tables, the manifest and the report."""
