"""A drive in 3-D that can be watched: the driven lines on the track, and the car moving along one of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trackmaster.units import MPS_TO_KMPH, format_race_time
from trackmaster.view.figures import lap_figure, plot_axes

if TYPE_CHECKING:
    import plotly.graph_objects as go

FRAME_MS = 100
"""Race time between two frames of the animation; it plays at the speed of the race."""

MAX_FRAMES = 1_500
"""Longer drives are shown with more time between two frames."""

LIFT_M = 1.2
"""The car's mark floats this far above the line, so that the line does not hide it."""

CAMERA_EYE = {"x": 1.5, "y": -1.8, "z": 1.5}
"""Further off than a still picture needs: the car is followed to both ends of the track."""


class OtherLine(NamedTuple):
    """Another drive over the same track, drawn as a thin line."""

    name: str
    position_m: NDArray[Any]
    """(n, 3) world, Y up."""


def drive_figure(
    position_m: NDArray[Any],
    speed_mps: NDArray[Any],
    time_ms: NDArray[Any],
    *,
    others: Sequence[OtherLine] = (),
    vertices: NDArray[np.float32] | None = None,
    triangles: NDArray[np.int32] | None = None,
    look_colors: NDArray[Any] | None = None,
) -> "go.Figure":
    """Return the drive with buttons to play it and a slider over its race time.

    Args:
        position_m: (n, 3) car origins, world (Y up).
        speed_mps: (n,).
        time_ms: (n,) race times, growing by one tick.
        others: drives beside it.
        vertices: (V, 3) of the track's mesh; None draws the lines alone.
        triangles: (F, 3).
        look_colors: (F, 3) blue, green, red 0..255 of each triangle.

    Raises:
        ViewError: the line is empty or the arrays do not fit together.
    """
    import plotly.graph_objects as go

    figure = lap_figure(
        position_m, speed_mps, time_ms=time_ms, vertices=vertices, triangles=triangles, look_colors=look_colors
    )
    for other in others:
        x, y, z = plot_axes(np.asarray(other.position_m, np.float64)[:: FRAME_MS // 10])
        figure.add_scatter3d(
            x=x, y=y, z=z + 0.6, mode="lines", name=f"episode {other.name}", showlegend=False,
            line={"width": 3, "color": "#555"}, hoverinfo="name",
        )  # fmt: skip
    rows = _shown_rows(np.asarray(time_ms))
    x, y, z = plot_axes(np.asarray(position_m, np.float64)[rows])
    labels = [
        f"{format_race_time(int(time))} · {speed * MPS_TO_KMPH:.0f} km/h"
        for time, speed in zip(np.asarray(time_ms)[rows], np.asarray(speed_mps)[rows], strict=True)
    ]
    add_car(figure, x[:1], y[:1], z[:1] + LIFT_M, labels[:1])
    car = len(figure.data) - 1
    figure.frames = [
        go.Frame(
            name=str(k),
            traces=[car],
            data=[go.Scatter3d(x=[x[k]], y=[y[k]], z=[z[k] + LIFT_M], text=[labels[k]])],
        )
        for k in range(len(rows))
    ]
    frame_ms = int(np.asarray(time_ms)[rows[1]] - np.asarray(time_ms)[rows[0]]) if len(rows) > 1 else FRAME_MS
    _add_controls(figure, np.asarray(time_ms)[rows], frame_ms)
    return figure


def add_car(figure: "go.Figure", x: NDArray[Any], y: NDArray[Any], z: NDArray[Any], labels: Sequence[str]) -> None:
    """Add the car's mark, in plotly's axes."""
    figure.add_scatter3d(
        x=x, y=y, z=z, mode="markers+text", text=labels, textposition="top center",
        marker={"size": 7, "color": "#e4572e", "line": {"width": 1, "color": "#fff"}}, showlegend=False, name="car",
    )  # fmt: skip


def _shown_rows(time_ms: NDArray[Any]) -> NDArray[np.int64]:
    """Return the rows that become frames: one per 100 ms of race time or fewer, and the last one."""
    tick_ms = int(time_ms[1] - time_ms[0]) if len(time_ms) > 1 else FRAME_MS
    step = max(1, FRAME_MS // max(tick_ms, 1), -(-len(time_ms) // MAX_FRAMES))
    return np.unique(np.append(np.arange(0, len(time_ms), step), len(time_ms) - 1))


def _add_controls(figure: "go.Figure", time_ms: NDArray[Any], frame_ms: int) -> None:
    at_once = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    playing = at_once | {"frame": {"duration": frame_ms, "redraw": True}, "fromcurrent": True}
    buttons = [
        {"label": "Play", "method": "animate", "args": [None, playing]},
        {"label": "Pause", "method": "animate", "args": [[None], at_once]},
    ]
    steps = [
        {"label": format_race_time(int(time)), "method": "animate", "args": [[str(k)], at_once]}
        for k, time in enumerate(time_ms)
    ]
    figure.update_layout(
        scene={"camera": {"eye": CAMERA_EYE}},
        updatemenus=[
            {"type": "buttons", "direction": "left", "buttons": buttons, "x": 0, "y": -0.02, "yanchor": "top"}
        ],
        sliders=[{"steps": steps, "x": 0.16, "len": 0.84, "y": 0, "currentvalue": {"prefix": "race time "}}],
    )
