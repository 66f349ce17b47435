"""Runs on Amazon ECS: a work pool beside the local one."""
