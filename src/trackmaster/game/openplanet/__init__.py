"""TrackMania 2020 through OpenPlanet: the telemetry stream, pad and screen, and a stand-in that has all of them."""
