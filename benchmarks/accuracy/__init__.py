"""How good the forecasts are: real data sets, several cutoffs, every model on the same rows."""
