"""Models fitted series by series: ARIMA, Prophet, Theta, ETS, Croston, TSB."""
