"""Questions about a finished run: why, explain and what-if. They read files and write text."""
