"""Crash sweep: every system call that changes the lake fails once, in every way."""
