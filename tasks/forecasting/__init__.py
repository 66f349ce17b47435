"""One forecaster a file behind one small interface: `schemas.protocols.Forecaster`."""
