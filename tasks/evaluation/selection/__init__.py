"""The champion of every series, the weights of the ensemble, and the reasons."""
