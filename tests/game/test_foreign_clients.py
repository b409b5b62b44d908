"""The unmodified client class of Linesight against the stand-in, where a checkout of it is at hand.

``TRACKMASTER_LINESIGHT`` names the checkout, whose files are run as they are; the package ``tminterface`` (its reader
of states) must be importable. What Linesight writes only when a training begins, its copy of the configuration, is
given beside the checkout.
"""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from trackmaster.game.standin.server import Standin

MODULE = "trackmania_rl.tmi_interaction.tminterface2"
CONFIG = "config_files/config_copy.py"


@pytest.fixture
def linesight(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    folder = os.environ.get("TRACKMASTER_LINESIGHT")
    if not folder or not (Path(folder) / f"{MODULE.replace('.', '/')}.py").is_file():
        pytest.skip("no checkout of Linesight here: set TRACKMASTER_LINESIGHT to one (and install tminterface)")
    monkeypatch.syspath_prepend(folder)
    if not (Path(folder) / CONFIG).is_file():
        (tmp_path / CONFIG).parent.mkdir()
        (tmp_path / CONFIG).write_text("from config_files.user_config import *\n")
        monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module(MODULE)
    for name in [name for name in sys.modules if name.startswith(("trackmania_rl", "config_files"))]:
        del sys.modules[name]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_linesights_own_client_connects_loads_drives_200_steps_rewinds_and_finishes(
    start: Callable[..., Standin], linesight: ModuleType
) -> None:
    standin = start()
    game = linesight.TMInterface(standin.port)
    kinds = linesight.MessageType
    game.register(60)
    assert game._read_int32() == kinds.SC_ON_CONNECT_SYNC
    game.set_speed(1)
    game.set_on_step_period(50)
    for line in ("set countdown_speed 80", "set skip_map_load_screens true", "map gates.Challenge.Gbx"):
        game.execute_command(line)
    assert game.is_in_menus()
    game._respond_to_call(kinds.SC_ON_CONNECT_SYNC)
    steps, start_state, splits, is_rewound = 0, None, [], False
    while True:
        kind = game._read_int32()
        if kind == kinds.SC_RUN_STEP_SYNC:
            time_ms = game._read_int32()
            if time_ms == 0 and start_state is None:
                game.set_timeout(10_100)
                game.toggle_interface(False)
                start_state = game.get_simulation_state()
                assert start_state.race_time == 0
            if time_ms >= 0:
                steps += 1
                if steps == 200:
                    game.rewind_to_state(start_state)
                    is_rewound = True
                state = game.get_simulation_state()
                assert state.race_time == (0 if steps == 200 else time_ms)
                assert len(state.position) == 3
                game.rewind_to_current_state()
                game.set_speed(0)
                game.request_frame(64, 64)
                game._respond_to_call(kinds.SC_RUN_STEP_SYNC)
                assert game._read_int32() == kinds.SC_REQUESTED_FRAME_SYNC
                picture = game.get_frame(64, 64)
                assert picture.std() > 10
                game.set_input_state(False, False, steps >= 200, False)
                game.set_speed(80)
                kind = kinds.SC_REQUESTED_FRAME_SYNC
            game._respond_to_call(kind)
        elif kind == kinds.SC_CHECKPOINT_COUNT_CHANGED_SYNC:
            current, target = game._read_int32(), game._read_int32()
            state = game.get_simulation_state()
            splits.append(state.race_time)
            if current == target:
                assert game.race_finished()
                times = state.cp_data.cp_times
                assert times[-1].time == state.race_time
                assert np.array_equal([item.time for item in times], splits)
                state.cp_data.cp_times[-1].time = -1  # Linesight's way to forget a finish
                game.rewind_to_state(state)
                game._respond_to_call(kind)
                break
            game._respond_to_call(kind)
    assert steps > 200
    assert is_rewound
    assert len(splits) == 5
    while standin.game.race is None or standin.game.race.is_finished:
        assert standin.error is None
    game.close()
