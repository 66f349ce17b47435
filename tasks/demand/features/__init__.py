"""Features that are known when a forecast is made."""
