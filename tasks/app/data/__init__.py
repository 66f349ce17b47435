"""The data of the pages, as plain functions on tables. No web framework is imported here."""
