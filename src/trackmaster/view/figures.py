"""Plotly figures of training and of a lap; plotly is loaded when one is made."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trackmaster.units import MPS_TO_KMPH, format_race_time
from trackmaster.view.pictures import ViewError

if TYPE_CHECKING:
    import plotly.graph_objects as go

F32 = NDArray[np.float32]

PALETTE = ("#2f6fde", "#e4572e", "#2a9d6f", "#9b51e0", "#c98a04", "#1aa3b8")
SPEED_SCALE = "Turbo"

TRACK_REACH_M = 60.0
"""Surfaces further than this from the driven line are left out of the 3-D lap: they only make the page heavy."""

MAX_TRACK_TRIANGLES = 30_000


def loss_figure(losses: Mapping[str, Sequence[float]], *, x_title: str = "epoch") -> "go.Figure":
    """Return curves of losses over epochs or steps, one per name, on a logarithmic axis where all are positive."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for k, (name, values) in enumerate(losses.items()):
        figure.add_scatter(
            x=list(range(1, len(values) + 1)),
            y=[float(v) for v in values],
            name=name,
            mode="lines+markers",
            line={"color": PALETTE[k % len(PALETTE)]},
        )
    positive = all(v > 0 for values in losses.values() for v in values)
    figure.update_yaxes(title="loss", type="log" if positive and losses else "linear")
    figure.update_xaxes(title=x_title)
    return _styled(figure)


def progress_figure(
    runs: Mapping[str, Sequence[tuple[float, Sequence[float], Sequence[int | None]]]],
    *,
    x_title: str = "wall time in minutes",
    track_length_m: float | None = None,
) -> "go.Figure":
    """Return evaluated progress (mean, with the range of the episodes) and, below, the times of finished laps.

    Args:
        runs: per run (seed) its evaluations: x, progress of each episode in metres, race time of each in ms (None for
            episodes that did not finish).
        x_title: what x is.
        track_length_m: drawn as a line where given.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    finished = [t for points in runs.values() for _, _, times in points for t in times if t is not None]
    rows = 2 if finished else 1
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for k, (name, points) in enumerate(runs.items()):
        color = PALETTE[k % len(PALETTE)]
        kept = [point for point in points if len(point[1])]
        x = [float(point[0]) for point in kept]
        low, high = [float(min(p[1])) for p in kept], [float(max(p[1])) for p in kept]
        figure.add_trace(
            go.Scatter(**_band(name, color, x, low, high)),
            row=1,
            col=1,
        )
        mean = [float(np.mean(point[1])) for point in kept]
        figure.add_trace(
            go.Scatter(x=x, y=mean, name=name, legendgroup=name, mode="lines+markers", line={"color": color}),
            row=1,
            col=1,
        )
        laps = [(float(x_), t) for x_, _, times in points for t in times if t is not None]
        if laps:
            figure.add_trace(
                go.Scatter(
                    x=[x_ for x_, _ in laps],
                    y=[t / 1000 for _, t in laps],
                    mode="markers",
                    legendgroup=name,
                    name=name,
                    showlegend=False,
                    marker={"color": color, "size": 6},
                    text=[format_race_time(t) for _, t in laps],
                    hovertemplate="%{text}<extra></extra>",
                ),
                row=2,
                col=1,
            )
    if track_length_m is not None:
        figure.add_hline(y=track_length_m, line={"dash": "dot", "color": "#888"}, row=1, col=1)
    figure.update_yaxes(title="progress in m", rangemode="tozero", row=1, col=1)
    if finished:
        figure.update_yaxes(title="lap time in s", row=2, col=1)
    figure.update_xaxes(title=x_title, row=rows, col=1)
    return _styled(figure, height=620 if finished else 380)


class Curve(NamedTuple):
    """One point of a curve with its band."""

    x: float
    y: float
    low: float
    high: float


def comparison_figure(curves: Mapping[str, Sequence[Curve]], *, x_title: str, y_title: str) -> "go.Figure":
    """Return one curve per label over the same marks, with its band."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for k, (name, points) in enumerate(curves.items()):
        color = PALETTE[k % len(PALETTE)]
        x = [point.x for point in points]
        if any(point.high > point.low for point in points):
            low, high = [point.low for point in points], [point.high for point in points]
            figure.add_scatter(**_band(name, color, x, low, high))
        figure.add_scatter(
            x=x, y=[point.y for point in points], name=name, legendgroup=name, mode="lines+markers",
            line={"color": color},
        )  # fmt: skip
    figure.update_xaxes(title=x_title)
    figure.update_yaxes(title=y_title)
    return _styled(figure)


def _band(name: str, color: str, x: list[float], low: list[float], high: list[float]) -> dict[str, Any]:
    """Return the area between two curves as the arguments of a trace that hides and shows with its curve."""
    return {
        "x": x + x[::-1],
        "y": high + low[::-1],
        "fill": "toself",
        "fillcolor": color,
        "opacity": 0.15,
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": name,
    }


def lap_figure(
    position_m: NDArray[Any],
    speed_mps: NDArray[Any],
    *,
    time_ms: NDArray[Any] | None = None,
    vertices: F32 | None = None,
    triangles: NDArray[np.int32] | None = None,
    look_colors: NDArray[Any] | None = None,
    reach_m: float = TRACK_REACH_M,
) -> "go.Figure":
    """Return the lap in 3-D: the driven line coloured by speed, on the surfaces around it.

    Args:
        position_m: (n, 3) car origins, world (Y up).
        speed_mps: (n,).
        time_ms: (n,) race time for the labels.
        vertices: (V, 3) of the track's mesh; None draws the line alone.
        triangles: (F, 3).
        look_colors: (F, 3) blue, green, red 0..255 of each triangle; grey by default.
        reach_m: only surfaces this near to the line are drawn.

    Raises:
        ViewError: the line is empty or the arrays do not fit together.
    """
    line = np.asarray(position_m, np.float64)
    speed = np.asarray(speed_mps, np.float64) * MPS_TO_KMPH
    if line.ndim != 2 or line.shape[1] != 3 or len(line) == 0 or len(speed) != len(line):
        raise ViewError(f"the lap has positions {line.shape} and {len(speed)} speeds: expected (n, 3) and n, n > 0")
    figure = track_figure(line, vertices=vertices, triangles=triangles, look_colors=look_colors, reach_m=reach_m)
    x, y, z = plot_axes(line)
    times = [""] * len(line) if time_ms is None else [format_race_time(int(t)) for t in np.asarray(time_ms)]
    figure.add_scatter3d(
        x=x,
        y=y,
        z=z + 0.6,
        mode="lines",
        name="lap",
        showlegend=False,
        line={
            "width": 7,
            "color": speed,
            "colorscale": SPEED_SCALE,
            "showscale": True,
            "colorbar": {"title": {"text": "km/h"}, "thickness": 14, "len": 0.7},
        },
        text=[f"{t} · {v:.0f} km/h" for t, v in zip(times, speed, strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )
    for k, name in ((0, "start"), (-1, "end")):
        figure.add_scatter3d(
            x=[x[k]],
            y=[y[k]],
            z=[z[k] + 2.5],
            mode="markers+text",
            text=[name],
            textposition="top center",
            marker={"size": 4, "color": "#222"},
            hoverinfo="skip",
            showlegend=False,
        )
    return figure


def track_figure(
    line_m: NDArray[Any],
    *,
    vertices: F32 | None = None,
    triangles: NDArray[np.int32] | None = None,
    look_colors: NDArray[Any] | None = None,
    reach_m: float = TRACK_REACH_M,
) -> "go.Figure":
    """Return the surfaces around a line in 3-D, without the line.

    Args:
        line_m: (n, 3) world, Y up.
        vertices: (V, 3) of the track's mesh; None draws nothing.
        triangles: (F, 3).
        look_colors: (F, 3) blue, green, red 0..255 of each triangle; grey by default.
        reach_m: only surfaces this near to the line are drawn.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    if vertices is not None and triangles is not None and len(triangles):
        _add_track(figure, np.asarray(line_m, np.float64), vertices, triangles, look_colors, reach_m)
    hidden = {"visible": False, "showspikes": False}
    figure.update_layout(
        scene={
            "aspectmode": "data",
            "xaxis": hidden,
            "yaxis": hidden,
            "zaxis": hidden,
            "camera": {"eye": {"x": 1.1, "y": -1.3, "z": 1.1}},
        },
    )
    return _styled(figure, height=560)


def plot_axes(points: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Turn the world (Y up) into plotly's axes (z up) without mirroring it."""
    return points[:, 0], -points[:, 2], points[:, 1]


def _add_track(
    figure: "go.Figure",
    line: NDArray[np.float64],
    vertices: F32,
    triangles: NDArray[np.int32],
    look_colors: NDArray[Any] | None,
    reach_m: float,
) -> None:
    near = _triangles_near(line, vertices, triangles, reach_m)
    if not len(near):
        return
    colors = np.full((len(near), 3), 150) if look_colors is None else np.asarray(look_colors)[near]
    # One trace per colour: a colour per triangle would weigh more than the triangles.
    kinds, kind_of = np.unique(np.clip(colors, 0, 255).round().astype(int), axis=0, return_inverse=True)
    for k, (blue, green, red) in enumerate(kinds.tolist()):
        used, corner = np.unique(triangles[near[kind_of.reshape(-1) == k]], return_inverse=True)
        corner = corner.reshape(-1, 3).astype(np.int32)
        x, y, z = plot_axes(vertices[used].astype(np.float32))
        figure.add_mesh3d(
            x=x,
            y=y,
            z=z,
            i=corner[:, 0],
            j=corner[:, 1],
            k=corner[:, 2],
            color=f"rgb({red},{green},{blue})",
            flatshading=True,
            hoverinfo="skip",
            name="track",
            lighting={"ambient": 0.75, "diffuse": 0.5, "specular": 0.02},
        )


def _triangles_near(
    line: NDArray[np.float64], vertices: F32, triangles: NDArray[np.int32], reach_m: float
) -> NDArray[np.int64]:
    """Return the numbers of the triangles near the line, seen from above; thinned where a page cannot carry them."""
    center = vertices[triangles].mean(axis=1)[:, [0, 2]]
    # On a grid of a quarter of the reach: near means a neighbouring cell holds a piece of the line.
    size = reach_m / 4
    cells = np.unique(np.floor(line[:, [0, 2]] / size).astype(np.int64), axis=0)
    shifts = np.stack(np.meshgrid(np.arange(-4, 5), np.arange(-4, 5)), axis=-1).reshape(-1, 2)
    shifts = shifts[(shifts**2).sum(axis=1) <= 20]
    wanted = np.unique((cells[:, None] + shifts).reshape(-1, 2), axis=0)
    own = np.floor(center / size).astype(np.int64)
    key = 1 << 24
    near = np.flatnonzero(np.isin(own[:, 0] * key + own[:, 1], wanted[:, 0] * key + wanted[:, 1]))
    return near[:: -(-len(near) // MAX_TRACK_TRIANGLES)] if len(near) else near


def _styled(figure: "go.Figure", height: int = 360) -> "go.Figure":
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        legend={"orientation": "h", "y": 1.08},
        font={"family": "system-ui, sans-serif", "size": 13},
        paper_bgcolor="rgba(0,0,0,0)",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": "#a9b4c4", "activecolor": "#2f6fde"},
    )
    return figure
