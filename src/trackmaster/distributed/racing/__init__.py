"""Racing runs of ``trackmaster train``: maps, workers, the learning loop, and how they are joined."""
