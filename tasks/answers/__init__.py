"""Answer questions about a finished run: why, explain and what-if. These modules read files and return text."""
