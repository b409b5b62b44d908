"""The module names of the TMRL seed: replacing the root ``tmrl`` by ``trackmaster.tmrl`` is the only change."""
