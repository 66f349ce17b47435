"""Look at exported files and propose a settings file: which file is which table, its format, and open questions."""
