"""Ways to decide visits and order-up-to levels, one module each."""
