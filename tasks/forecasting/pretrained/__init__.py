"""Pretrained networks: weights in a folder, computed in a process of their own."""
