"""The stand-in over real sockets: telemetry, ghost, desk; and the client's way through faults."""

import contextlib
import json
import socket
import struct
from pathlib import Path

import numpy as np
import pytest

from trackmaster.errors import TrackmasterError
from trackmaster.game.link.errors import CannotConnectError, LinkError, LostConnectionError, SilentGameError
from trackmaster.game.openplanet.client import OpenPlanetClient, save_ghost
from trackmaster.game.openplanet.desk import BUTTON_B, Desk, receive_exactly
from trackmaster.game.openplanet.standin import OpenPlanetStandin
from trackmaster.track import Track

WAIT_S = 30.0


def virtual(track: Track, **options: object) -> OpenPlanetStandin:
    return OpenPlanetStandin(track, is_virtual=True, countdown_ms=100, **options)


def test_records_are_44_bytes_of_the_simulated_car(straight: Track) -> None:
    with virtual(straight) as standin, Desk(port=standin.desk_port) as desk:
        connection = socket.create_connection(("127.0.0.1", standin.port), WAIT_S)
        first = struct.unpack("<11f", receive_exactly(connection, 44))
        assert first[2:5] == pytest.approx(straight.start.position_m, abs=0.3)
        desk.press(1.0, 0.0, 0.25)
        assert desk.advance(2_000) == 2
        after = struct.unpack("<11f", receive_exactly(connection, 44))
        moved = np.subtract(after[2:5], first[2:5])
        assert after[1] == pytest.approx(np.linalg.norm(moved), rel=0.1)
        assert 5 < after[0] < 40, "metres per second"
        assert after[5:9] == (0.25, 1.0, 0.0, 0.0)
        assert after[9] >= 1
        assert after[10] > 1_000
        connection.close()


def test_a_restart_stands_until_it_is_green(straight: Track) -> None:
    with virtual(straight) as standin, Desk(port=standin.desk_port) as desk, OpenPlanetClient(port=standin.port) as car:
        car.latest(timeout_s=WAIT_S)
        desk.press(1.0, 0.0, 0.0)
        car_moved = car.latest(at_least=desk.advance(1_500), timeout_s=WAIT_S)
        assert car_moved.distance_m > 3
        desk.press(1.0, 0.0, 0.0, BUTTON_B)
        desk.press(1.0, 0.0, 0.0)
        red = car.latest(at_least=desk.advance(90), timeout_s=WAIT_S)
        assert red.distance_m == 0
        green = car.latest(at_least=desk.advance(1_000), timeout_s=WAIT_S)
        assert green.distance_m > 0.5
        assert green.speed_kmph > 5


def test_the_finish_is_told(straight: Track) -> None:
    with virtual(straight) as standin, Desk(port=standin.desk_port) as desk, OpenPlanetClient(port=standin.port) as car:
        desk.press(1.0, 0.0, 0.0)
        finished = [car.latest(at_least=desk.advance(500), timeout_s=WAIT_S).is_finished for _ in range(20)]
        assert finished[0] is False
        assert finished[-1] is True


def test_our_own_layout_says_map_time_and_direction(straight: Track) -> None:
    with virtual(straight, layout="trackmaster") as standin, Desk(port=standin.desk_port) as desk:
        with OpenPlanetClient(port=standin.port, layout="trackmaster") as car:
            car.latest(timeout_s=WAIT_S)
            desk.press(1.0, 0.0, 0.0)
            record = car.latest(at_least=desk.advance(1_000), timeout_s=WAIT_S)
            assert record.map_uid == "straight2020"
            assert record.race_time_ms == 1_000
            assert record.velocity_mps @ record.forward * 3.6 == pytest.approx(record.speed_kmph, rel=0.02)
        with (
            OpenPlanetClient(port=standin.port, layout="tmrl") as wrong,
            pytest.raises(LinkError, match="not laid out"),
        ):
            for _ in range(3):
                wrong.latest(at_least=desk.advance(10), timeout_s=0.2)
        with OpenPlanetClient(port=standin.port, layout="tmrl") as wrong, pytest.raises(LinkError):
            wrong.latest(newer_than=99, timeout_s=WAIT_S)


def test_in_real_time_records_keep_coming(straight: Track) -> None:
    with OpenPlanetStandin(straight, fps=200) as standin, OpenPlanetClient(port=standin.port) as car:
        counts = [car.count for _ in range(5) if car.latest(newer_than=car.count, timeout_s=WAIT_S)]
        assert counts == sorted(set(counts))


def test_the_client_comes_back_after_the_game_was_gone(straight: Track) -> None:
    with virtual(straight) as standin, OpenPlanetClient(port=standin.port, first_pause_s=0.01) as car:
        car.latest(timeout_s=WAIT_S)
        before = car.count
        standin.drop_client()
        assert car.latest(newer_than=before, timeout_s=WAIT_S)
        assert car.connections == 2


def test_a_game_that_comes_late_is_found(straight: Track) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with OpenPlanetClient(port=port, first_pause_s=0.01) as car:
        with pytest.raises(CannotConnectError, match="nobody listens"):
            car.latest(timeout_s=0.05)
        with virtual(straight, port=port):
            assert car.latest(timeout_s=WAIT_S).gear >= 0


def test_silence_is_told_apart_from_nobody(straight: Track) -> None:
    with virtual(straight) as standin, OpenPlanetClient(port=standin.port) as car:
        car.latest(timeout_s=WAIT_S)
        with pytest.raises(SilentGameError, match="silent in menus"):
            car.latest(newer_than=car.count, timeout_s=0.05)


def test_a_connection_to_the_ghost_port_saves_the_drive(straight: Track, tmp_path: Path) -> None:
    with virtual(straight, ghost_folder=tmp_path) as standin, Desk(port=standin.desk_port) as desk:
        desk.press(1.0, 0.0, 0.0)
        desk.advance(9_000)
        save_ghost(port=standin.ghost_port)
        desk.advance(0)
        ghost_port = standin.ghost_port
        assert standin.ghosts_saved == 1
    ghost = json.loads((tmp_path / "ghost_000.json").read_text(encoding="utf-8"))
    assert ghost["map_uid"] == "straight2020"
    assert ghost["race_time_ms"] > 4_000
    assert len(ghost["position_m"]) == ghost["race_time_ms"] // 100
    with pytest.raises(CannotConnectError, match="TMRL_SaveGhost"):
        save_ghost(port=ghost_port, timeout_s=1.0)


def test_the_screen_shows_the_car_and_the_road(straight: Track) -> None:
    with virtual(straight) as standin, Desk(port=standin.desk_port) as desk:
        follow, lidar = desk.picture((256, 128)), desk.picture((100, 60), "lidar")
        assert follow.shape == (128, 256, 4)
        assert follow[:, :, :3].std() > 10
        assert (lidar[..., :3] < 55).all(axis=2).any(), "there are borders"
        assert (lidar[50, 50, :3] > 55).all(), "the road before the car is bright"


@pytest.mark.parametrize("request_", [b"X", b"F\x07\x10\x00\x10\x00", b"F\x00\x00\x00\x10\x00", b"T\xff\xff\xff\xff"])
def test_a_desk_that_asks_nonsense_is_closed_and_others_are_served(straight: Track, request_: bytes) -> None:
    with virtual(straight) as standin, Desk(port=standin.desk_port) as honest:
        with socket.create_connection(("127.0.0.1", standin.desk_port), WAIT_S) as bad:
            bad.sendall(request_)
            with contextlib.suppress(ConnectionError):
                assert bad.recv(1) == b""
        assert honest.advance(10) == 0
        assert standin.error is None


def test_real_time_cannot_be_pushed(straight: Track) -> None:
    with (
        OpenPlanetStandin(straight) as standin,
        Desk(port=standin.desk_port) as desk,
        pytest.raises(LostConnectionError),
    ):
        desk.advance(10)
    with pytest.raises(CannotConnectError, match="--openplanet"):
        Desk(port=standin.desk_port)


def test_a_port_that_is_taken_is_named(straight: Track) -> None:
    with virtual(straight) as standin, pytest.raises(TrackmasterError, match=f"port {standin.port} cannot"):
        OpenPlanetStandin(straight, port=standin.port)


def test_numbers_that_no_pad_sends_do_no_harm(straight: Track) -> None:
    with virtual(straight) as standin, Desk(port=standin.desk_port) as desk:
        desk.press(float("nan"), 7.0, -9.0)
        desk.advance(100)
        assert standin.error is None
