"""What holds for every test."""

from hypothesis import settings

# A busy machine is slow by chance: how long an example takes says nothing about the code.
settings.register_profile("restock", deadline=None)
settings.load_profile("restock")
