"""DeepAR: one data channel, trained here with GluonTS or on Amazon SageMaker."""
