"""The live page of a drive, looked at by real clients on this machine."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.experiments.driving_run import FLAT_OUT, make_run

from trackmaster.cli import main
from trackmaster.errors import TrackmasterError
from trackmaster.experiments import live as live_module
from trackmaster.experiments.live import LiveServer, Pace
from trackmaster.interrupts import StopFlag
from trackmaster.view.live_page import EVENTS_PATH, line_event, live_page, state_event

LINE = np.stack([np.arange(9.0), np.full(9, 5.0), np.arange(9.0)], axis=1)
TIMEOUT_S = 300


class Viewer:
    """Opens the events of a page, as a browser does."""

    def __init__(self, url: str, path: str = EVENTS_PATH, headers: dict[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=TIMEOUT_S)
        self._connection.request("GET", path, headers=headers or {})
        self.response = self._connection.getresponse()

    def __iter__(self) -> Iterator[tuple[str, dict[str, object]]]:
        kind = ""
        for raw in self.response:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                yield kind, json.loads(value)

    def close(self) -> None:
        self.response.close()
        self._connection.close()


@pytest.fixture
def look_at() -> Iterator[Callable[..., Viewer]]:
    """A function that opens the events of a page; they are closed after the test."""
    viewers: list[Viewer] = []

    def look(url: str, path: str = EVENTS_PATH, headers: dict[str, str] | None = None) -> Viewer:
        viewers.append(Viewer(url, path, headers))
        return viewers[-1]

    yield look
    for viewer in viewers:
        viewer.close()


def get(url: str, path: str = "/", host: str | None = None, **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=TIMEOUT_S)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", path, headers=named if host is None else {"Host": host, **named})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, answer.headers.get("Content-Security-Policy", "")


def test_viewers_are_told_everything_in_order_and_late_ones_what_matters(look_at: Callable[[str], Viewer]) -> None:
    with LiveServer("<p>page</p>", 0) as live:
        first = look_at(live.url)
        live.wait_for_viewer(StopFlag())
        live.tell("begin", {"text": "0"})
        live.tell("state", {"x": 1})
        live.tell("end", {"text": "end of 0"})
        live.tell("begin", {"text": "1"})
        live.tell("state", {"x": 2})
        seen = [next(iter(first)) for _ in range(5)]
        late = look_at(live.url)
        live.tell("over", {"text": "all"})
    assert [kind for kind, _ in seen] == ["begin", "state", "end", "begin", "state"]
    assert list(first) == [("over", {"text": "all"})]
    assert list(late) == [
        ("end", {"text": "end of 0"}), ("begin", {"text": "1"}), ("state", {"x": 2}), ("over", {"text": "all"}),
    ]  # fmt: skip


def test_a_viewer_who_leaves_disturbs_nobody(look_at: Callable[[str], Viewer]) -> None:
    with LiveServer("", 0) as live:
        gone, stays = look_at(live.url), look_at(live.url)
        gone.close()
        for number in range(200):
            live.tell("state", {"x": number})
        live.tell("over", {})
    assert [told.get("x") for kind, told in stays if kind == "state"][-1] == 199


def test_a_viewer_who_reads_too_slowly_is_let_go(
    look_at: Callable[[str], Viewer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "WAITING_EVENTS", 3)
    with LiveServer("", 0) as live:
        slow = look_at(live.url)
        done = threading.Event()

        def flood() -> None:  # in one go of the loop, so that nothing is sent in between
            for number in range(9):
                live._tell("state", f"event: state\ndata: {number}\n\n")
            done.set()

        live._call(flood)
        assert done.wait(TIMEOUT_S)
        list(slow)  # it ends although the server goes on
        back = look_at(live.url)
        live.tell("over", {"text": "all"})
    kinds = [kind for kind, _ in back]
    assert kinds == ["state"] * 9 + ["over"]


def test_a_page_of_an_earlier_drive_that_is_still_open_neither_begins_this_one_nor_draws_it(
    look_at: Callable[..., Viewer],
) -> None:
    page, earlier = live_page("this", LINE), live_page("earlier", LINE)
    own, foreign = (str(re.search(r'new EventSource\("([^"]+)"', text)[1]) for text in (page, earlier))  # type: ignore[index]
    assert own != foreign
    with LiveServer(page, 0) as live:
        assert get(live.url, foreign)[0] == 204, "which tells a browser not to come again"
        assert not live._has_viewer.is_set()
        viewer = look_at(live.url, own)
        live.wait_for_viewer(StopFlag())
        live.tell("over", {"text": "all"})
    assert list(viewer) == [("over", {"text": "all"})]


@pytest.mark.parametrize("headers", [
    {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Origin": "https://evil.example"},
    {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
], ids=str)  # fmt: skip
def test_a_page_from_elsewhere_begins_no_drive(look_at: Callable[..., Viewer], headers: dict[str, str]) -> None:
    with LiveServer(live_page("this", LINE), 0) as live:
        assert get(live.url, EVENTS_PATH, **headers)[0] == 403
        assert not live._has_viewer.is_set()
        assert get(live.url, **headers)[0] == 200, "a link to the page itself may stand anywhere"
        assert "frame-ancestors 'none'" in get(live.url)[2], "but not the page"
        viewer = look_at(live.url, headers={"Sec-Fetch-Site": "same-origin", "Origin": live.url})
        live.wait_for_viewer(StopFlag())
        live.tell("over", {"text": "all"})
    assert list(viewer) == [("over", {"text": "all"})]


def test_the_page_is_for_this_machine_and_names_nothing_outside() -> None:
    page = live_page("A <b>drive</b>", LINE)
    with LiveServer(page, 0) as live:
        assert live.url.startswith("http://127.0.0.1:")
        status, text, policy = get(live.url)
        assert (status, text) == (200, page)
        assert "default-src 'none'" in policy
        assert "connect-src 'self'" in policy
        assert get(live.url, host="evil.example")[0] == 403
        assert get(live.url, "/etc/passwd")[0] == 404
    assert "A &lt;b&gt;drive&lt;/b&gt;" in page
    ours = page.partition("</head>")[2]  # in the head stands plotly, whose addresses of maps nobody asks
    assert " src=" not in ours
    assert " href=" not in ours


def test_a_port_in_use_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "flat", FLAT_OUT)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TrackmasterError, match=f"--port {port}: .* choose another one, or 0"), LiveServer("", port):
            pass
        assert main(["drive", str(run), "--live", "--port", str(port), "--episodes", "1", "--no-video"]) == 1
    assert f"--port {port}: the live page cannot be served there" in capsys.readouterr().err
    assert not (run / "drive").exists()


def start_drive(run: Path, *flags: str) -> tuple["subprocess.Popen[str]", str]:
    """Start a drive with a live page and return it with the page's address."""
    drive = subprocess.Popen(
        [sys.executable, "-m", "trackmaster", "drive", str(run), "--live", "--port", "0", "--no-video", *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert drive.stdout is not None
    for line in drive.stdout:
        if line.startswith("Live page: "):
            return drive, line.split()[2]
    raise AssertionError(drive.communicate()[1])


def test_a_whole_drive_is_seen_and_written(look_at: Callable[[str], Viewer], tmp_path: Path) -> None:
    run = make_run(tmp_path / "flat", FLAT_OUT)
    drive, url = start_drive(run, "--episodes", "2", "--live-speed", "0")
    try:
        events = list(look_at(url))
        out, _ = drive.communicate(timeout=TIMEOUT_S)
    finally:
        drive.kill()
    assert drive.returncode == 0
    kinds = [kind for kind, _ in events]
    assert [kind for kind in kinds if kind != "state"] == ["begin", "end", "begin", "end", "over"]
    states = [told for kind, told in events[: kinds.index("end")] if kind == "state"]
    ends = [told for kind, told in events if kind == "end"]
    race_ms = json.loads((run / "drive" / "first" / "drive.json").read_text())["race_time_ms"]
    # One state per decision of 50 ms, the first before any; the last decision may reach beyond the finish.
    assert len(states) == -(-race_ms[0] // 50) + 1
    assert "finished in" in str(ends[0]["text"])
    assert np.hypot(states[-1]["x"] - states[0]["x"], states[-1]["y"] - states[0]["y"]) > 100
    assert (states[0]["x"], states[0]["y"]) == (ends[0]["x"][0], ends[0]["y"][0])
    assert "Page: " in out
    assert (run / "drive" / "first" / "lap.html").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl+C cannot be sent to one process there")
def test_ctrl_c_ends_it_with_a_sentence(look_at: Callable[[str], Viewer], tmp_path: Path) -> None:
    run = make_run(tmp_path / "flat", FLAT_OUT)
    drive, url = start_drive(run, "--episodes", "3")
    try:
        viewer = iter(look_at(url))
        while next(viewer)[0] != "state":
            pass
        drive.send_signal(signal.SIGINT)
        rest = [kind for kind, _ in viewer]
        _, told = drive.communicate(timeout=TIMEOUT_S)
    finally:
        drive.kill()
    assert drive.returncode == 130
    assert "stopped after 0 of 3 episodes; the live page is closed and nothing was written" in told
    assert "Traceback" not in told
    assert "over" not in rest
    assert not (run / "drive").exists()


def test_the_browser_draws_what_it_is_told(
    tmp_path: Path, watched: Callable[[str], str], show_in_browser: Callable[[str, Path], tuple[list[str], str]]
) -> None:
    with LiveServer(watched(live_page("live", LINE)), 0) as live:
        live.tell("begin", {"text": "Episode 0, of 1"})
        for step in range(5):
            live.tell("state", state_event(LINE[step], 10.0, 50 * step, 2.5 * step))
        live.tell("end", {"text": "Episode 0: finished in 0:12.34", **line_event(LINE)})
        live.tell("over", {"text": "The drive is over; this page may be closed."})
        errors, page = show_in_browser(live.url, tmp_path)
    assert errors == []
    assert "The drive is over" in page
    assert "Episode 0: finished in 0:12.34" in page


def test_the_pace_is_that_of_the_race_and_lost_time_is_not_made_up() -> None:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(2.0, lambda: now[0], sleep)
    pace.wait(100)
    now[0] += 1.0  # a pause of the machine
    pace.wait(200)
    pace.wait(300)
    assert slept == pytest.approx([0.05, 0.05])
    Pace(0.0, lambda: 0.0, sleep).wait(10_000)
    assert len(slept) == 2
