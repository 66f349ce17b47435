"""A twin of AWS: moto's S3 and IAM, and a SageMaker that really trains DeepAR, for those without an account."""
