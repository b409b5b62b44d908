"""The downloader under the names of the community's documents; everything is in ``trackmaster.replays``."""
