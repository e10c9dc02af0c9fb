"""How the shipped network was made: data set, network, training, export (extra ``train``)."""
