"""What people look at: lap videos with the driver's keys, plots, contact sheets."""

from trackmaster.view.figures import lap_figure, loss_figure, progress_figure
from trackmaster.view.overlay import OverlayFrame, draw_overlay
from trackmaster.view.pictures import ViewError, contact_sheet, data_url
from trackmaster.view.video import write_lap_video

__all__ = [
    "OverlayFrame",
    "ViewError",
    "contact_sheet",
    "data_url",
    "draw_overlay",
    "lap_figure",
    "loss_figure",
    "progress_figure",
    "write_lap_video",
]
