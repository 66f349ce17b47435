"""Look at exported files and propose a settings file: which file is which table, how it is written, what is open."""
