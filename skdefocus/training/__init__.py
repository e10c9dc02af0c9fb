"""Making of the shipped network: data set, network, training, export (extra ``train``)."""
