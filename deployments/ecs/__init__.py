"""A work pool that runs flows on Amazon ECS."""
