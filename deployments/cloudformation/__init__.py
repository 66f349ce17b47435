"""Infrastructure of Restock on AWS as a CloudFormation template, and the command that writes it."""
