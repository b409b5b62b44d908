"""TrackMania 2020's interface against the stand-in, in virtual and in real time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trackmaster.env import EnvError
from trackmaster.env.demo.files import demo_map_uid, load_demo, record_demo, save_demo
from trackmaster.env.demo.reward import resampled
from trackmaster.env.realtime import tm2020
from trackmaster.env.realtime.clock import RealClock
from trackmaster.env.realtime.config import realtime_config
from trackmaster.env.realtime.environment import RealTimeEnv
from trackmaster.env.realtime.game import demo_of
from trackmaster.env.realtime.tm2020 import (
    StandinClock,
    Tm2020Interface,
    Tm2020LidarInterface,
    Tm2020LidarProgressInterface,
    Tm2020Source,
)
from trackmaster.env.realtime.tm2020_watch import RaceWatch
from trackmaster.game.link.errors import LinkError
from trackmaster.game.openplanet.client import OpenPlanetClient
from trackmaster.game.openplanet.desk import BUTTON_A, BUTTON_B, Desk
from trackmaster.game.openplanet.layouts import Record
from trackmaster.game.openplanet.standin import OpenPlanetStandin
from trackmaster.track import Track

GO = np.array([1.0, -1.0, 0.0], dtype=np.float32)


@pytest.fixture
def standin(straight: Track) -> Iterator[OpenPlanetStandin]:
    with OpenPlanetStandin(straight, is_virtual=True, countdown_ms=1_500) as running:
        yield running


@pytest.fixture
def demo(straight: Track, tmp_path: Path) -> Path:
    path = tmp_path / "reward.npy"
    save_demo(path, resampled(demo_of(straight)))
    return path


def make(interface: type[Tm2020Interface], standin: OpenPlanetStandin, demo: Path, **changes: object) -> RealTimeEnv:
    desk = Desk(port=standin.desk_port)
    kwargs = {
        "port": standin.port, "ghost_port": standin.ghost_port, "desk": desk, "reward_path": demo,
        **changes.pop("interface_kwargs", {}),
    }  # fmt: skip
    return RealTimeEnv(realtime_config(interface, interface_kwargs=kwargs, **changes), clock=StandinClock(desk))


SHAPES = [
    (Tm2020Interface, [(1,), (1,), (1,), (4, 64, 64)]),
    (Tm2020LidarInterface, [(1,), (4, 19)]),
    (Tm2020LidarProgressInterface, [(1,), (1,), (4, 19)]),
]


@pytest.mark.parametrize(("interface", "shapes"), SHAPES)
def test_a_race_is_driven_to_its_finish_over_the_socket(
    standin: OpenPlanetStandin, demo: Path, interface: type[Tm2020Interface], shapes: list
) -> None:
    env = make(interface, standin, demo, wait_on_done=True, reset_act_buf=True, interface_kwargs={"save_replays": True})
    observation, _ = env.reset()
    total, terminated, steps = 0.0, False, 0
    while not terminated:
        assert observation in env.observation_space
        assert [part.shape for part in observation] == [*shapes, *[(3,)] * 4]
        observation, reward, terminated, truncated, info = env.step(GO)
        assert not truncated
        total, steps = total + reward, steps + 1
    assert info["finished"]
    assert total == pytest.approx(100 + 0.1 * (len(load_demo(demo)) - 1) * 0.1, rel=0.02)
    assert 60 < steps < 200
    assert standin.ghosts_saved == 1
    observation, _ = env.reset()
    assert observation[0][0] < 5, "the race was restarted"
    env.close()


def test_two_runs_over_the_socket_are_the_same(straight: Track, demo: Path) -> None:
    runs = []
    for _ in range(2):
        with OpenPlanetStandin(straight, is_virtual=True) as standin:
            env = make(Tm2020Interface, standin, demo)
            env.reset()
            rng = np.random.default_rng(0)
            runs.append([env.step(rng.uniform(-1, 1, 3).astype(np.float32))[:2] for _ in range(25)])
            env.close()
    for (first, reward), (second, again) in zip(*runs, strict=True):
        assert reward == again
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_game_that_goes_away_surfaces(straight: Track, demo: Path) -> None:
    standin = OpenPlanetStandin(straight, fps=200, countdown_ms=0).start()
    kwargs = {"port": standin.port, "desk": standin.desk_port, "reward_path": demo, "sleep_at_reset_s": 0.0}
    env = RealTimeEnv(realtime_config(Tm2020Interface, interface_kwargs=kwargs), clock=RealClock(), watchdog_steps=600)
    env.reset()
    for _ in range(3):
        env.step(GO)
    standin.drop_client()
    observation, *_ = env.step(GO)
    assert observation[0][0] >= 0, "the link was made again"
    standin.stop()
    with pytest.raises(LinkError):
        for _ in range(5):
            env.step(GO)
    env.close()


def test_without_a_demonstration_the_command_is_named(tmp_path: Path) -> None:
    headless = Tm2020LidarProgressInterface(reward_path=tmp_path / "reward.npy")
    assert [box.shape for box in headless.get_observation_space()] == [(1,), (1,), (4, 19)], "spaces need no file"
    with pytest.raises(EnvError, match="trackmaster record reward"):
        headless.reset()
    with pytest.raises(EnvError, match="pickle"):
        load_demo(tmp_path / "reward.pkl")
    (tmp_path / "bad.npy").write_bytes(b"no array")
    with pytest.raises(EnvError, match="holds no demonstration"):
        load_demo(tmp_path / "bad.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    with pytest.raises(EnvError, match="holds no demonstration"):
        load_demo(tmp_path / "objects.npy")


@pytest.mark.parametrize("interface", [Tm2020Interface, Tm2020LidarProgressInterface])
def test_the_window_has_the_size_that_is_wished(
    standin: OpenPlanetStandin, demo: Path, interface: type[Tm2020Interface], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def no_window(*, size: tuple[int, int]) -> None:
        asked.append(size)
        raise LinkError("no display here")

    monkeypatch.setattr(tm2020, "WindowScreen", no_window)
    pad = Desk(port=standin.desk_port)
    monkeypatch.setattr(tm2020, "VirtualGamepad", lambda: pad)
    for wish, size in (
        ({"window_width": 640, "window_height": 300}, (640, 300)),
        ({"window_width": 640}, (640, interface.window[1])),
        ({"window_width": None, "window_height": None}, interface.window),
    ):
        with pytest.raises(LinkError, match="no display"):
            interface(reward_path=demo, **wish).reset()
        assert asked.pop() == size
    pad.close()
    with pytest.raises(EnvError, match="0 x"):
        interface(window_width=0)


def test_pictures_that_are_not_scaled_are_those_of_the_window(standin: OpenPlanetStandin, demo: Path) -> None:
    window = {"window_width": 120, "window_height": 80}
    env = make(Tm2020Interface, standin, demo, interface_kwargs={**window, "resize_to": None})
    observation, _ = env.reset()
    assert observation in env.observation_space
    assert observation[3].shape == (4, 80, 120)
    env.close()
    scans = []
    for changes in ({}, window):
        env = make(Tm2020LidarInterface, standin, demo, interface_kwargs=changes)
        scans.append(env.reset()[0][1])
        env.close()
    assert scans[1].max() < 80 < scans[0].max(), "rays end with the window"
    with pytest.raises(EnvError, match="does not fit into 30 x 20"):
        Tm2020LidarInterface(window_width=30, window_height=20)


def record(x: float, *, finished: bool = False, distance_m: float | None = None) -> Record:
    return Record(
        0.0, np.array([x, 0, 0], dtype=np.float32), 0.0, 0.0, False, finished, 1, 0.0, map_uid="m",
        distance_m=distance_m,
    )  # fmt: skip


def source_of(standin: OpenPlanetStandin, **options: Any) -> Tm2020Source:
    return Tm2020Source(
        lambda: OpenPlanetClient(port=standin.port, layout="trackmaster"),
        lambda: Desk(port=standin.desk_port), None, sleep_at_reset_s=0.0, **options,
    )  # fmt: skip


def test_what_failed_at_one_reset_is_made_anew_by_the_next(straight: Track) -> None:
    pads, clients, maps = [], [], iter(["", EnvError("no such file"), "elsewhere", straight.uid])

    def told() -> str:
        uid = next(maps)
        if isinstance(uid, EnvError):
            raise uid
        return uid

    with OpenPlanetStandin(straight, fps=200, layout="trackmaster", countdown_ms=0) as standin:
        source = source_of(standin, map_uid=told)
        make_pad, connect = source._make_pad, source._connect
        source._make_pad = lambda: pads.append(make_pad()) or pads[-1]
        source._connect = lambda: clients.append(connect()) or clients[-1]
        source.reset(None)
        assert source.read(None).info["map"] == straight.uid
        source.close()
        with pytest.raises(EnvError, match="no such file"):
            source.reset(None)
        source.reset(None)
        with pytest.raises(EnvError, match="belongs to the map elsewhere"):
            source.read(None)
        source.close()
        source.reset(None)
        source.read(None)
        source.close()
    assert len(pads) == 3, "one pad is plugged in at a time"
    assert not any(client._thread.is_alive() for client in clients)


def test_a_source_that_was_closed_does_not_wait_for_records_of_before(straight: Track) -> None:
    with OpenPlanetStandin(straight, fps=200, layout="trackmaster", countdown_ms=0) as standin:
        source = source_of(standin)
        source.reset(None)
        source._seen = 1_000_000
        source.close()
        source.reset(None)
        source.read(None)
        source.close()


def test_ghosts_are_saved_where_the_game_runs_after_every_episode(
    straight: Track, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[tuple[str, int]] = []
    monkeypatch.setattr(tm2020, "save_ghost", lambda host, port: saved.append((host, port)))
    with OpenPlanetStandin(straight, is_virtual=True) as standin:
        kwargs = {"save_replays": True, "host": "localhost", "ghost_port": 1_234}
        for changes, expected in (({}, 2), ({"wait_on_done": True, "reset_act_buf": True}, 3)):
            env = make(Tm2020LidarInterface, standin, demo, interface_kwargs=kwargs, ep_max_length=2, **changes)
            for _ in range(3):
                env.reset()
                env.step(GO)
                env.step(GO)
            assert saved == [("localhost", 1_234)] * expected, changes
            saved.clear()
            env.close()


class NotingDesk(Desk):
    """Keeps the buttons that were pressed."""

    buttons: list[int]

    def press(self, gas: float, brake: float, steer: float, buttons: int = 0) -> None:
        if buttons:
            self.buttons.append(buttons)
        super().press(gas, brake, steer, buttons)


def test_the_pop_up_after_a_finish_is_closed_though_nobody_waits(standin: OpenPlanetStandin, demo: Path) -> None:
    desk = NotingDesk(port=standin.desk_port)
    desk.buttons = []
    kwargs = {"port": standin.port, "desk": desk, "reward_path": demo}
    env = RealTimeEnv(realtime_config(Tm2020LidarInterface, interface_kwargs=kwargs), clock=StandinClock(desk))
    env.reset()
    env.step(GO)
    env.reset()
    assert desk.buttons == [BUTTON_B, BUTTON_B]
    while not env.step(GO)[2]:
        pass
    env.reset()
    assert desk.buttons[2:] == [BUTTON_B, BUTTON_A, BUTTON_B]
    env.close()


def test_time_steps_of_any_length_keep_the_race_with_the_virtual_clock(straight: Track, demo: Path) -> None:
    with OpenPlanetStandin(straight, is_virtual=True, countdown_ms=0, layout="trackmaster") as standin:
        kwargs = {"layout": "trackmaster", "sleep_at_reset_s": 0.1}
        settings = {"time_step_duration": 0.025, "start_obs_capture": 0.025}
        env = make(Tm2020LidarInterface, standin, demo, interface_kwargs=kwargs, **settings)
        begun_ms = env.reset()[1]["race_time_ms"]
        times_ms = [env.step(GO)[4]["race_time_ms"] for _ in range(40)]
        assert times_ms[-1] - begun_ms == 1_000
        env.close()


def test_another_map_than_the_demonstration_s_is_refused(straight: Track, tmp_path: Path) -> None:
    path = tmp_path / "reward.npy"
    save_demo(path, resampled(demo_of(straight)), map_uid="elsewhere")
    with OpenPlanetStandin(straight, is_virtual=True, layout="trackmaster") as standin:
        env = make(Tm2020LidarInterface, standin, path, interface_kwargs={"layout": "trackmaster"})
        with pytest.raises(EnvError, match=f"map elsewhere, the game drives {straight.uid}"):
            env.reset()
        env.close()
        save_demo(path, resampled(demo_of(straight)), map_uid=straight.uid)
        env = make(Tm2020LidarInterface, standin, path, interface_kwargs={"layout": "trackmaster"})
        assert env.reset()[1]["map"] == straight.uid
        env.close()
    for text in ("no json", "[]", '{"map_uid": null}'):
        path.with_suffix(".json").write_text(text, encoding="utf-8")
        assert demo_map_uid(path) == ""
    assert demo_map_uid(tmp_path / "nothing.npy") == ""


def test_a_car_that_stands_with_gas_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = RaceWatch()
    for tick in range(200):
        watch.record(record(3), now_s=0.05 * tick, has_gas=True)
    assert caplog.text.count("although gas is given") == 1
    caplog.clear()
    for tick in range(200):
        watch.record(record(tick), now_s=0.05 * tick, has_gas=True)
        watch.record(record(tick), now_s=0.05 * tick, has_gas=False)
    assert not caplog.text


def test_pictures_that_are_apart_are_counted_and_told_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    watch = RaceWatch()
    for apart in [0.01, -0.02] + [0.04] * 250:
        watch.picture(apart)
    assert watch.pictures_apart == 250
    assert caplog.text.count("40 ms apart") == 2


def test_a_demonstration_begins_anew_after_a_restart_and_ends_at_the_finish() -> None:
    drive = [record(9, finished=True), *(record(x) for x in range(70)), *(record(x) for x in range(40))]
    notes: list[str] = []
    points, last = record_demo([*drive, record(40, finished=True)], note=notes.append)
    assert len(points) == 401
    assert last.map_uid == "m"
    assert len(notes) == 1


def test_a_restart_near_the_start_begins_anew_too() -> None:
    tries = [record(x, distance_m=x) for way in (30, 12, 40) for x in range(way)]
    notes: list[str] = []
    points, _ = record_demo([*tries, record(40, finished=True, distance_m=40)], note=notes.append)
    assert len(points) == 401
    assert len(notes) == 2


def test_a_demonstration_needs_a_finish() -> None:
    drive = [record(9, finished=True), *(record(x) for x in range(70)), *(record(x) for x in range(40))]
    with pytest.raises(EnvError, match="not finished"):
        record_demo(drive)


def test_a_recorded_demonstration_says_what_it_is(tmp_path: Path) -> None:
    points = resampled([[0, 0, 0], [30, 0, 0]])
    save_demo(tmp_path / "deep" / "reward.npy", points, map_uid="abc", race_time_ms=1_234)
    assert np.array_equal(load_demo(tmp_path / "deep" / "reward.npy"), points)
    text = (tmp_path / "deep" / "reward.json").read_text(encoding="utf-8")
    assert '"map_uid": "abc"' in text
    assert '"length_m": 30.0' in text
