"""DeepAR on Amazon SageMaker: training, tuning, batch transform and endpoint, none of it paid twice."""
