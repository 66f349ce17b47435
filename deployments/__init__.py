"""Deployments: when and where the flows run."""
