"""DeepAR: one network over all series, trained here (GluonTS on torch) or on Amazon SageMaker."""
