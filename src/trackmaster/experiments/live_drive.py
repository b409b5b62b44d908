"""Episodes of a trained agent before the eyes of whoever has the live page open."""

from collections.abc import Sequence

import numpy as np

from trackmaster.env import EnvConfig
from trackmaster.env.zones import zone_map_of
from trackmaster.errors import InterruptedRunError
from trackmaster.experiments.lap import Lap, Watch, describe, drive_lap, look_colors
from trackmaster.experiments.live import LiveServer, Pace
from trackmaster.game import CarState, Start
from trackmaster.interrupts import StopFlag, StoppedError, stop_on_interrupt
from trackmaster.rl.actor import ActorModule
from trackmaster.track import Track
from trackmaster.view.live_page import LINE_EVERY_TICKS, line_event, live_page, state_event


def drive_live(
    actor: ActorModule,
    track: Track,
    config: EnvConfig,
    starts: Sequence[Start],
    *,
    title: str,
    port: int,
    speed: float,
) -> list[Lap]:
    """Wait for a viewer, drive the episodes and show each while it happens.

    Args:
        actor: chooses actions.
        track: with a reference line.
        config: what the actor sees.
        starts: one per episode.
        title: of the page.
        port: of the page on 127.0.0.1; 0 takes a free one.
        speed: race seconds per second; 0 does not wait.

    Raises:
        InterruptedRunError: Ctrl+C.
        TrackmasterError: the port of the page is taken.
    """
    zones, mesh = zone_map_of(track), track.mesh
    page = live_page(
        title,
        zones.centers[zones.start_idx : zones.finish_idx + 1],
        vertices=mesh.vertices,
        triangles=mesh.triangles,
        look_colors=look_colors(mesh.look),
    )
    laps, stop = list[Lap](), StopFlag()
    try:
        with stop_on_interrupt(stop), LiveServer(page, port) as live:
            print(f"Live page: {live.url} (the drive begins when it is opened; Ctrl+C ends it)", flush=True)
            live.wait_for_viewer(stop)
            for number, start in enumerate(starts):
                live.tell("begin", {"text": f"Episode {number}, of {len(starts)}"})
                lap = drive_lap(actor, track, config, start, _shown_on(live, speed, stop))
                laps.append(lap)
                line = line_event(lap.states.position_m[::LINE_EVERY_TICKS])
                live.tell("end", {"text": f"Episode {number}: {describe(lap)}", **line})
            live.tell("over", {"text": "The drive is over; this page may be closed."})
    except (KeyboardInterrupt, StoppedError):
        raise InterruptedRunError(
            f"stopped after {len(laps)} of {len(starts)} episodes; the live page is closed and nothing was written."
        ) from None
    return laps


def _shown_on(live: LiveServer, speed: float, stop: StopFlag) -> Watch:
    """Return what shows one episode on the page, at the speed of the race, until a stop is asked for."""
    pace = Pace(speed)

    def watch(car: CarState, progress_m: float) -> None:
        pace.wait(car.time_ms)
        stop.check()
        live.tell(
            "state", state_event(car.position_m, float(np.linalg.norm(car.velocity_mps)), car.time_ms, progress_m)
        )

    return watch
