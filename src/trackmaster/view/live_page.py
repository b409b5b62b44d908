"""A page that draws a drive while it happens: it listens to events of the server it came from.

The events, each a JSON object: ``begin`` (``text``), ``state`` (``x``, ``y``, ``z`` of plotly, ``kmph``, ``label``),
``end`` (``text``, and ``x``, ``y``, ``z`` as lists) and ``over`` (``text``).
"""

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trackmaster.units import MPS_TO_KMPH, format_race_time
from trackmaster.view.drive_figure import LIFT_M, add_car
from trackmaster.view.figures import SPEED_SCALE, plot_axes, track_figure
from trackmaster.view.page import FigureWriter, page_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

EVENTS_PATH = "/events"
"""Where the page listens, with a mark of the page behind it."""
MARK_LETTERS = 16
"""Of a page's hash: pages that differ have different marks."""
LINE_EVERY_TICKS = 10
"""Ticks between two points of an earlier drive."""
CAMERA_EYE = {"x": 1.9, "y": -2.3, "z": 1.9}
"""Far enough off that both ends of a long track are seen."""
FASTEST_KMPH = 400.0
"""Red end of the colours of the line."""

_BODY = """<section><h2 id="now">Waiting for the drive ...</h2>
<p id="label">&nbsp;</p>
__FIGURE__
<ul id="ended"></ul></section>
<script>
(() => {
  const plot = document.getElementById("figure-1"), traces = __TRACES__, redraw_ms = 80;
  const show = (id, text) => { document.getElementById(id).textContent = text; };
  let line = { x: [], y: [], z: [] }, kmph = [], car = null, is_changed = false;
  const earlier = { x: [], y: [], z: [] };
  const events = new EventSource("__EVENTS__");
  const on = (kind, act) => events.addEventListener(kind, (event) => act(JSON.parse(event.data)));
  const clear = () => { line = { x: [], y: [], z: [] }; kmph = []; is_changed = true; };
  events.onopen = () => {
    for (const axis of ["x", "y", "z"]) earlier[axis] = [];
    document.getElementById("ended").replaceChildren();
    clear();
  };
  on("begin", (told) => { show("now", told.text); clear(); });
  on("state", (told) => {
    for (const axis of ["x", "y", "z"]) line[axis].push(told[axis]);
    kmph.push(told.kmph);
    car = told;
    is_changed = true;
    show("label", told.label);
  });
  on("end", (told) => {
    for (const axis of ["x", "y", "z"]) earlier[axis].push(...told[axis], null);
    const item = document.createElement("li");
    item.textContent = told.text;
    document.getElementById("ended").append(item);
    is_changed = true;
  });
  on("over", (told) => { events.close(); show("now", told.text); });
  events.onerror = () => show("label", "No connection to the drive: it was stopped, or it will be back soon.");
  const draw = () => {
    if (!is_changed) { setTimeout(draw, redraw_ms); return; }
    is_changed = false;
    const at = (axis) => [earlier[axis], line[axis], car ? [car[axis]] : []];
    const colors = [undefined, kmph, undefined];
    Plotly.restyle(plot, {
      x: at("x"), y: at("y"), z: at("z"), text: ["", "", car ? [car.label] : []], "line.color": colors,
    }, traces).then(() => setTimeout(draw, redraw_ms));
  };
  draw();
})();
</script>
"""


def state_event(position_m: NDArray[Any], speed_mps: float, time_ms: int, progress_m: float) -> dict[str, Any]:
    """Return what a ``state`` event tells of a car at a (3,) world position (Y up)."""
    x, y, z = plot_axes(np.asarray(position_m, np.float64)[None])
    kmph = speed_mps * MPS_TO_KMPH
    return {
        "x": round(float(x[0]), 2),
        "y": round(float(y[0]), 2),
        "z": round(float(z[0]) + LIFT_M, 2),
        "kmph": round(kmph, 1),
        "label": f"{format_race_time(time_ms)} · {kmph:.0f} km/h · {progress_m:.0f} m",
    }


def line_event(position_m: NDArray[Any]) -> dict[str, list[float]]:
    """Return what an ``end`` event tells of the driven line, (n, 3) world (Y up)."""
    axes = zip("xyz", plot_axes(np.asarray(position_m, np.float64)), strict=True)
    return {name: np.round(values, 2).tolist() for name, values in axes}


def live_page(
    title: str,
    line_m: NDArray[Any],
    *,
    vertices: NDArray[np.float32] | None = None,
    triangles: NDArray[np.int32] | None = None,
    look_colors: NDArray[Any] | None = None,
) -> str:
    """Return the page; it needs nothing but its own server.

    Args:
        title: headline.
        line_m: (n, 3) reference line of the track, world (Y up).
        vertices: (V, 3) of the track's mesh; None draws the line alone.
        triangles: (F, 3).
        look_colors: (F, 3) blue, green, red 0..255 of each triangle.
    """
    figure = _figure(line_m, track_figure(line_m, vertices=vertices, triangles=triangles, look_colors=look_colors))
    n = len(figure.data)
    writer = FigureWriter()
    body = _BODY.replace("__FIGURE__", writer.div(figure))
    body = body.replace("__TRACES__", json.dumps([n - 3, n - 2, n - 1]))
    mark = hashlib.sha256(f"{title}\n{body}".encode()).hexdigest()[:MARK_LETTERS]
    return page_of(title, body.replace("__EVENTS__", f"{EVENTS_PATH}?page={mark}"), writer)


def _figure(line_m: NDArray[Any], figure: "go.Figure") -> "go.Figure":
    """Add the reference line and, last, what moves: earlier drives, the driven line, the car."""
    x, y, z = plot_axes(np.asarray(line_m, np.float64))
    thin = {"width": 2, "color": "#aaa"}
    figure.add_scatter3d(x=x, y=y, z=z + 0.3, mode="lines", line=thin, name="reference line", showlegend=False)
    figure.add_scatter3d(
        x=[], y=[], z=[], mode="lines", line={"width": 3, "color": "#555"}, name="earlier", showlegend=False
    )
    colors = {"color": [], "colorscale": SPEED_SCALE, "cmin": 0.0, "cmax": FASTEST_KMPH, "showscale": True}
    colors["colorbar"] = {"title": {"text": "km/h"}, "thickness": 14, "len": 0.7}
    figure.add_scatter3d(x=[], y=[], z=[], mode="lines", line={"width": 7, **colors}, name="drive", showlegend=False)
    add_car(figure, np.zeros(0), np.zeros(0), np.zeros(0), [])
    figure.update_layout(scene={"camera": {"eye": CAMERA_EYE}, "uirevision": "live"})
    return figure
