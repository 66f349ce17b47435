"""Accepted rows become cleaned demand: returns, outliers, exposure."""
