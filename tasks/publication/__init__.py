"""What a run leaves behind: the ERP's file, the report, the manifest, and their publication."""
