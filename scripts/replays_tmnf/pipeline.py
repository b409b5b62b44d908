"""The pipeline of ``--track-ids``: API workers, download workers, map workers."""

from trackmaster.replays.pipeline import Pipeline, Plan

__all__ = ["Pipeline", "Plan"]
