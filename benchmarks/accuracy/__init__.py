"""Accuracy of the forecasts: real data sets, several cutoffs, every model on the same rows."""
