"""The game around the races of a stand-in: its screens, its console, and the manners that make a client's life hard.

Each of them is one that the real game has (``game_link.md`` 16): commands of one drawn frame run last in, first out;
``map`` is only queued; maps are known from the start only; an intro waits for a key; after the finish a medal screen
blocks the next load; without the focus no input counts; the HUD comes back with every map.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackmaster.errors import TrackmasterError
from trackmaster.game.standin.maps import MapList, ScriptFolder
from trackmaster.game.standin.race import GatePassed, Race
from trackmaster.gbx import Command
from trackmaster.track import Track

KEPT_LINES: Final = 400


class Screen(Enum):
    """What the game shows."""

    STARTUP = "startup"
    MENUS = "menus"
    LOADING = "load"
    PRESS_A_KEY = "press_a_key"
    INTRO = "intro"
    RACE = "race"
    MEDALS = "medals"


IN_RACE: Final = {Screen.INTRO, Screen.RACE, Screen.MEDALS}
WAITING_FOR_A_KEY: Final = {Screen.PRESS_A_KEY, Screen.INTRO, Screen.MEDALS}


@dataclass(frozen=True, slots=True)
class GameOptions:
    """How one stand-in's game is set up."""

    base_path: Path | None = None
    """User folder with ``Tracks/Challenges``; only the bundled tracks without one."""
    scripts_path: Path | None = None
    """Folder of input scripts."""
    tracks: Mapping[str, Track] = field(default_factory=dict)
    """Maps without a file, by the name under which ``map`` loads them."""
    scripts: Mapping[str, str] = field(default_factory=dict)
    """Scripts without a file, by name."""
    start_map: str | None = None
    """A map that is loaded at once, as if a player had chosen it and pressed all keys."""
    is_focused: bool = True
    """False: the window never had the focus, so that no input counts and no map loads from the menus."""
    is_minimised: bool = False
    """True: nothing is drawn, so that no client is accepted."""
    startup_frames: int = 0
    """Frames before the menus come."""
    load_frames: int = 10
    """Frames from ``map`` to the new map."""
    medal_ticks: int = 100
    """Ticks from the finish to the medal screen."""
    has_intros: bool = False
    """True: every map has an intro that waits for a key, whatever its file says."""
    fps: int = 100
    """Pictures per second of real time: at speed 16 the race moves on by 16 ticks between two of them."""
    allow_unknown_blocks: bool = False
    device: str = "cpu"


class StandinGame:
    """Screens, console and race of one game process, one drawn frame and one tick at a time."""

    def __init__(self, options: GameOptions) -> None:
        """Start the game: the list of maps is made now."""
        self.options = options
        self.maps = MapList(options.base_path, options.tracks, allow_unknown=options.allow_unknown_blocks)
        self.scripts = ScriptFolder(options.scripts_path, options.scripts)
        self.variables = {"execute_commands": "true", "skip_map_load_screens": "false"}
        self.race: Race | None = None
        self.screen = Screen.STARTUP if options.startup_frames else Screen.MENUS
        self.speed = 1.0
        self.is_focused = options.is_focused
        self.is_minimised = options.is_minimised
        self.is_hud_shown = True
        self.map_name: str | None = None
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        """What the console printed."""
        self._stack: list[str] = []
        self._line: deque[str] = deque()
        self._queue: deque[tuple[str, int]] = deque()
        self._script: list[Command] = []
        self._frame = 0
        self._ticks_since_finish = 0
        if options.start_map is not None:
            self._open(options.start_map, at_once=True)

    @property
    def is_idle(self) -> bool:
        """Whether nothing goes on by itself: neither a race nor a load nor a start."""
        is_driving = self.screen is Screen.RACE and self.speed > 0
        will_load = bool(self._queue) and self._may_load()
        return not (
            is_driving or will_load or self._stack or self._line or self.screen in {Screen.LOADING, Screen.STARTUP}
        )

    @property
    def is_in_race(self) -> bool:
        """Whether a race is open, whatever covers it."""
        return self.screen in IN_RACE

    def frame(self) -> None:
        """Draw one picture: console lines run, a screen may change."""
        self._frame += 1
        if self.screen is Screen.STARTUP and self._frame >= self.options.startup_frames:
            self.screen = Screen.MENUS
        if self.is_minimised:
            return
        for line in reversed(self._stack):
            for part in line.split(";"):
                self._run(part.strip())
        self._stack.clear()
        if self._line:
            self._run(self._line[0])
            self._line.popleft()
        if self.screen is Screen.LOADING:
            self._open(self._queue.popleft()[0])
        elif self._queue and self._queue[0][1] <= self._frame and self._may_load():
            self.screen = Screen.LOADING

    def tick(self) -> list[GatePassed]:
        """Let 10 ms of a race pass; only on the screen of the race."""
        race = self._race()
        reports = race.tick()
        if race.is_finished:
            self._ticks_since_finish += 1
            if self._ticks_since_finish > self.options.medal_ticks:
                self.screen = Screen.MEDALS
        else:
            self._ticks_since_finish = 0
        return reports

    def picture(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return what the game draws, (height, width, 4) BGRA; black outside of a race."""
        if self.race is None or not self.is_in_race:
            return np.zeros((height, width, 4), np.uint8)
        picture = self.race.picture(width, height)
        if self.is_hud_shown:
            picture = picture.copy()
            picture[-max(1, height // 12) :, : max(1, width // 4), :3] = 255
        return picture

    # What a player or a plugin does

    def command(self, line: str, *, in_order: bool = False) -> None:
        """Hand a line to the console; it runs with the next drawn frame, the last one of a frame first.

        Args:
            line: what a player would type.
            in_order: run one such line per frame, the first one first, as our plugin has it.
        """
        (self._line if in_order else self._stack).append(line)

    def log(self, text: str) -> None:
        """Print a line on the console."""
        self.lines.append(text)

    def focus(self) -> None:
        """Bring the window to the front."""
        self.is_focused = True
        self.is_minimised = False
        if self.race is not None:
            self.race.takes_inputs = True

    def give_up(self) -> None:
        """Restart the race with a countdown; a medal screen does not listen."""
        if self.screen in {Screen.RACE, Screen.INTRO}:
            self._race().restart()
            self.screen = Screen.RACE

    def press(self, key: str) -> None:
        """Press a key; without the focus it goes nowhere."""
        if not self.is_focused:
            self.log(f"press {key}: the window has no focus")
        elif self.screen in WAITING_FOR_A_KEY and key in {"enter", "delete"}:
            if self.screen is Screen.MEDALS and key == "enter":
                self._close_race()
            else:
                self._race().restart()
                self._begin(skip_key=True, skip_intro=self.screen is not Screen.PRESS_A_KEY)
        elif self.screen is Screen.RACE and key == "delete":
            self._race().restart()
        elif self.screen is Screen.RACE and key == "enter":
            self._race().respawn()

    def play(self, commands: list[Command]) -> None:
        """Take a whole list of inputs in place of a script file."""
        self._script = commands
        if self.race is not None:
            self.race.play(commands)

    def close(self) -> None:
        """End the game."""
        self._close_race()

    # The console

    def _run(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        argument = rest.strip().strip('"')
        actions: dict[str, Callable[[], object]] = {
            "map": lambda: self._queue.append((argument, self._frame + self.options.load_frames)),
            "load": lambda: self._load_script(argument),
            "unload": lambda: self.play([]),
            "press": lambda: self.press(argument),
            "give_up": self.give_up,
            "set": lambda: self._set(argument),
            "cam": lambda: self._set(f"cam {argument}"),
            "toggle_console": lambda: None,
            "add_trigger": lambda: None,
        }
        if verb in actions:
            actions[verb]()
        elif verb:
            self.log(f"Unknown command: {verb}")

    def _set(self, assignment: str) -> None:
        name, _, value = assignment.partition(" ")
        self.variables[name] = value.strip().strip('"')
        if name == "speed":
            try:
                self.speed = max(0.0, float(value))
            except ValueError:
                self.log(f"set speed: {value!r} is no number")

    def _load_script(self, name: str) -> None:
        try:
            self._script = self.scripts.commands(name)
        except TrackmasterError as error:
            self.log(f"load {name}: {error}")
            return
        self._arm()

    def _arm(self) -> None:
        if self.race is not None:
            self.race.play(self._script if self.variables.get("execute_commands") == "true" else [])

    # Screens

    def _may_load(self) -> bool:
        if self.screen in WAITING_FOR_A_KEY:
            return False
        return self.is_focused or self.screen is not Screen.MENUS

    def _open(self, name: str, *, at_once: bool = False) -> None:
        self._close_race()
        try:
            track = self.maps.track(name)
        except TrackmasterError as error:
            self.log(f"map {name}: {error}")
            return
        self.screen = Screen.LOADING  # until its first picture, which takes a while to prepare
        self.race = Race(track, device=self.options.device)
        self.race.takes_inputs = self.is_focused
        self.map_name = name
        self.is_hud_shown = True
        self._arm()
        skip_key = at_once or self.variables.get("skip_map_load_screens") == "true"
        self._begin(skip_key=skip_key, skip_intro=at_once)

    def _begin(self, *, skip_key: bool, skip_intro: bool) -> None:
        """Show what comes before the countdown, or the race."""
        has_intro = self.options.has_intros or self._race().track.challenge.intro_clip is not None
        if not skip_key:
            self.screen = Screen.PRESS_A_KEY
        else:
            self.screen = Screen.INTRO if has_intro and not skip_intro else Screen.RACE
        self._ticks_since_finish = 0

    def _close_race(self) -> None:
        if self.race is not None:
            self.race.close()
        self.race = None
        self.map_name = None
        self.screen = Screen.MENUS

    def _race(self) -> Race:
        assert self.race is not None, f"the screen {self.screen.value} has a race"
        return self.race
