"""Exact solutions for known demand, and lower bounds."""
