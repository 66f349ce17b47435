"""The demo company: a footwear chain with the shape of a real one, generated from a seed."""
