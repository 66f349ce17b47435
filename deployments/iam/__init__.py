"""IAM policies of the roles that Restock needs, and the command that renders them."""
