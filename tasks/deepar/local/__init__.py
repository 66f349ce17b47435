"""DeepAR on this machine: jobs as processes of the container, models and forecasts in the lake."""
