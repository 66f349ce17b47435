"""What the pages show, as plain functions on tables. No web framework is imported here."""
