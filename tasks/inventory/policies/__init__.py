"""Policies that decide deliveries and order-up-to levels, one module each."""
