"""Drivers that search instead of learning: plans for the batched simulator, refined key presses, bundled replays."""

from trackmaster.expert.errors import ExpertError
from trackmaster.expert.experts import TEAM, Expert, find_drives
from trackmaster.expert.explore import Discovery, Exploration, Explorer
from trackmaster.expert.recording import drive_timeline, redrive, timeline_of
from trackmaster.expert.refine import Refinement, Refiner
from trackmaster.expert.route import Route
from trackmaster.expert.search import Found, PlanSearch, Style

__all__ = [
    "TEAM",
    "Discovery",
    "Expert",
    "ExpertError",
    "Exploration",
    "Explorer",
    "Found",
    "PlanSearch",
    "Refinement",
    "Refiner",
    "Route",
    "Style",
    "drive_timeline",
    "find_drives",
    "redrive",
    "timeline_of",
]
