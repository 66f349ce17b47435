"""Pretrained networks: weights in a folder, computed in a separate process."""
