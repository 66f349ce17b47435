"""The tuned constants: where they are, and how far the accuracy guard depends on each (docs/reference/constants.md)."""
