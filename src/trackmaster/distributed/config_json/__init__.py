"""The roles made from the ``config.json`` of the TMRL seed, and the commands that start them."""
