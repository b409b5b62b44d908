"""Settings, instances, launcher and doctor: the right sources, the right folders, only our own processes."""

import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trackmaster import cli
from trackmaster.errors import ConfigError
from trackmaster.game.link.client import LinkClient
from trackmaster.game.link.errors import CannotConnectError
from trackmaster.game.link.protocol import PLUGIN_VERSION
from trackmaster.game.setup import checks
from trackmaster.game.setup.config import DoctorConfig
from trackmaster.game.setup.doctor import examine, run_doctor
from trackmaster.game.setup.instances import Instance, instance_of
from trackmaster.game.setup.settings import GameSettings, load_game_settings, read_dotenv
from trackmaster.game.standin.server import Standin

ROOT = Path(__file__).resolve().parent.parent.parent
PLUGIN = ROOT / "plugin" / "TrackmasterLink.as"
posix_only = pytest.mark.skipif(os.name == "nt", reason="a shell script stands for the game")


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No ``.env``, no YAML and no variable of the machine decides about these tests."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("BASE_TMI", "TRACKMANIA_", "TRACKMASTER_"))]:
        monkeypatch.delenv(name)


# Settings


def test_without_any_word_there_is_no_game_and_the_defaults_are_those_of_the_documents() -> None:
    settings = load_game_settings(environment={})
    assert settings.base_tmi_port == 8_478
    assert settings.trackmania_base_path == Path.home() / "Documents" / "TrackMania"
    assert settings.login == ""
    assert not settings.is_configured


def test_flags_beat_the_environment_which_beats_dotenv_which_beats_yaml(tmp_path: Path) -> None:
    yaml = tmp_path / "game.yaml"
    yaml.write_text("base_tmi_port: 1001\ntrackmania_base_path: from_yaml\nlogin: from_yaml\n", encoding="utf-8")
    dotenv = tmp_path / ".env"
    dotenv.write_text("BASE_TMI_PORT=1002\nTRACKMANIA_BASE_PATH=from_dotenv\n", encoding="utf-8")
    environment = {"BASE_TMI_PORT": "1003"}
    settings = load_game_settings(environment=environment, dotenv=dotenv, yaml=yaml)
    assert (settings.base_tmi_port, settings.trackmania_base_path.name, settings.login) == (
        1_003, "from_dotenv", "from_yaml",
    )  # fmt: skip
    assert settings.sources["base_tmi_port"] == "environment"
    assert settings.is_configured
    flagged = load_game_settings({"base_tmi_port": 1_004}, environment=environment, dotenv=dotenv, yaml=yaml)
    assert flagged.base_tmi_port == 1_004


def test_the_usual_yaml_is_read_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "config_files").mkdir()
    (tmp_path / "config_files" / "game.yaml").write_text("BASE_TMI_PORT: 9000\n".lower(), encoding="utf-8")
    assert load_game_settings(environment={}).base_tmi_port == 9_000


def test_a_path_of_windows_survives_dotenv(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("TRACKMANIA_BASE_PATH=C:\\Users\\new\\table\\TrackMania\n# comment\nOTHER=$HOME\n", "utf-8")
    found = read_dotenv(dotenv)
    assert found["TRACKMANIA_BASE_PATH"] == r"C:\Users\new\table\TrackMania"
    assert found["OTHER"] == "$HOME"


@pytest.mark.parametrize("value", ["none", "0", "70000"])
def test_a_port_that_is_none_names_its_source(tmp_path: Path, value: str) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"BASE_TMI_PORT={value}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"\.env: BASE_TMI_PORT is"):
        load_game_settings(environment={}, dotenv=dotenv)


def test_an_unknown_key_of_yaml_is_refused(tmp_path: Path) -> None:
    yaml = tmp_path / "game.yaml"
    yaml.write_text("base_tmi_prot: 1001\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="'base_tmi_prot' is no setting of the game"):
        load_game_settings(environment={}, yaml=yaml)


# Instances


def test_every_instance_has_a_port_and_folders_of_its_own(tmp_path: Path) -> None:
    settings = GameSettings(trackmania_base_path=tmp_path / "TrackMania", tmloader_profile="ai")
    first, third = instance_of(settings, 0), instance_of(settings, 2)
    assert (first.port, first.user_path, first.profile) == (8_478, tmp_path / "TrackMania", "ai")
    assert first.scripts_path == tmp_path / "TMInterface" / "Scripts"
    assert (third.port, third.user_path, third.profile) == (8_480, tmp_path / "TrackMania-2", "ai-2")
    assert third.challenges_path == tmp_path / "TrackMania-2" / "Tracks" / "Challenges"
    assert third.plugins_path == tmp_path / "TMInterface-2" / "Plugins"
    assert len({path for i in (first, third) for path in (i.challenges_path, i.autosaves_path, i.scripts_path)}) == 6
    with pytest.raises(ConfigError, match="would have port 65536"):
        instance_of(GameSettings(base_tmi_port=65_535), 1)


# Launcher


@pytest.fixture
def launcher() -> object:
    pytest.importorskip("psutil", reason="psutil is not installed")
    from trackmaster.game.setup import launcher

    return launcher


def test_the_windows_command_is_one_string_with_a_quoted_piece(launcher: object) -> None:
    settings = GameSettings(tmloader_path=Path("TMLoader.exe"))
    command = launcher.windows_command(settings, instance_of(settings, 1))  # type: ignore[attr-defined]
    assert command == '"TMLoader.exe" run TmForever "default-1" /configstring="set custom_port 8479"'


def test_a_launcher_that_is_not_there_is_a_sentence(launcher: object, tmp_path: Path) -> None:
    settings = GameSettings(tmloader_path=tmp_path / "TMLoader.exe")
    instance = instance_of(settings, 0)
    with pytest.raises(launcher.LaunchError, match="TMLoader is not there"):  # type: ignore[attr-defined]
        launcher.launch(settings, instance, on_windows=True)  # type: ignore[attr-defined]
    with pytest.raises(launcher.LaunchError, match="set TRACKMASTER_LAUNCH_SCRIPT"):  # type: ignore[attr-defined]
        launcher.launch(settings, instance, on_windows=False)  # type: ignore[attr-defined]
    script = tmp_path / "start.sh"
    script.write_text("", encoding="ascii")
    with pytest.raises(launcher.LaunchError, match="no script that can be run"):  # type: ignore[attr-defined]
        settings = settings.model_copy(update={"launch_script": script})
        launcher.launch(settings, instance, on_windows=False)  # type: ignore[attr-defined]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def script_that(tmp_path: Path, line: str) -> Path:
    script = tmp_path / "start.sh"
    script.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    script.chmod(0o755)
    return script


@posix_only
def test_a_launched_game_is_reached_found_by_its_id_and_ended_alone(launcher: object, tmp_path: Path) -> None:
    import psutil

    line = f'"{sys.executable}" -m trackmaster standin --port "$1" & wait'
    settings = GameSettings(base_tmi_port=free_port(), launch_script=script_that(tmp_path, line))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as bystander:
        child = launch_and_end(launcher, settings)
        assert bystander.poll() is None, "a process that we did not start is left alone"
        bystander.communicate("\n")
    assert not psutil.pid_exists(child)


def launch_and_end(launcher: object, settings: GameSettings) -> int:
    """Start a game, talk to it, end it; return its id."""
    with launcher.launch_turn("trackmaster-test.lock"):  # type: ignore[attr-defined]
        game = launcher.launch(settings, instance_of(settings, 0), on_windows=False)  # type: ignore[attr-defined]
        try:
            client = LinkClient(settings.base_tmi_port)
            launcher.first_session(client, game)  # type: ignore[attr-defined]
            assert client.was_in_menus
            child = game.find_game(("python",))
            assert child is not None
            assert child != game.launcher.pid
            assert game.is_running
            client.close()
        finally:
            game.end()
    assert not game.is_running
    return int(child)


@posix_only
def test_a_game_whose_launcher_has_ended_is_still_ours(launcher: object, tmp_path: Path) -> None:
    line = f'"{sys.executable}" -m trackmaster standin --port "$1" &'
    settings = GameSettings(base_tmi_port=free_port(), launch_script=script_that(tmp_path, line))
    game = launcher.launch(settings, instance_of(settings, 0), on_windows=False)  # type: ignore[attr-defined]
    game.launcher.wait()
    assert game.is_running
    client = LinkClient(settings.base_tmi_port)
    launcher.first_session(client, game)  # type: ignore[attr-defined]
    assert game.find_game(("python",)) not in (None, game.launcher.pid)
    client.close()
    game.end()
    assert not game.is_running


@posix_only
def test_a_window_is_brought_to_the_front_by_its_process(
    launcher: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trackmaster.game.setup.window import focus_window

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(launcher.LaunchError, match="xdotool is needed"):  # type: ignore[attr-defined]
        focus_window(7)
    tool = tmp_path / "xdotool"
    tool.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/said"\n[ "$4" = 7 ]\n', encoding="utf-8")
    tool.chmod(0o755)
    focus_window(7)
    assert (tmp_path / "said").read_text(encoding="utf-8").split() == [
        "search", "--onlyvisible", "--pid", "7", "windowactivate",
    ]  # fmt: skip
    with pytest.raises(launcher.LaunchError, match="process 8 has no visible window"):  # type: ignore[attr-defined]
        focus_window(8)


@posix_only
def test_a_game_that_ends_while_it_starts_is_a_sentence(launcher: object, tmp_path: Path) -> None:
    settings = GameSettings(base_tmi_port=free_port(), launch_script=script_that(tmp_path, "exit 3"))
    game = launcher.launch(settings, instance_of(settings, 0), on_windows=False)  # type: ignore[attr-defined]
    game.launcher.wait()
    with pytest.raises(launcher.LaunchError, match="ended while it was starting"):  # type: ignore[attr-defined]
        launcher.first_session(LinkClient(settings.base_tmi_port), game)  # type: ignore[attr-defined]
    game.end()


def test_a_game_that_never_answers_is_given_up_in_time(
    launcher: object, jumping_clock: Callable[..., "object"]
) -> None:
    clock = jumping_clock()
    began = clock.now_s()  # type: ignore[attr-defined]
    with pytest.raises(CannotConnectError, match="nothing listens"):
        launcher.first_session(LinkClient(free_port()), clock=clock, start_s=30)  # type: ignore[attr-defined]
    assert 30 <= clock.now_s() - began < 60  # type: ignore[attr-defined]


# Doctor


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    found = instance_of(GameSettings(trackmania_base_path=tmp_path / "TrackMania", base_tmi_port=free_port()), 0)
    found.challenges_path.mkdir(parents=True)
    found.plugins_path.mkdir(parents=True)
    return found


def test_without_a_game_the_doctor_says_that_the_simulator_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    findings = {finding.name: finding for finding in examine(DoctorConfig())}
    assert findings["game"].status == "ok"
    assert "embedded simulator, the default" in findings["game"].text
    assert not any(name.startswith(("port", "plugin")) for name in findings)
    assert findings["python"].status == "ok"
    code = run_doctor(DoctorConfig())
    out = capsys.readouterr().out
    assert code == int(findings["packages"].status == "fail")
    assert "ok    game" in out


def test_a_game_without_its_parts_costs_the_exit_code_and_names_each_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text("TRACKMANIA_BASE_PATH=nowhere\n", encoding="utf-8")
    assert cli.main(["doctor", "--base-tmi-port", str(free_port()), "--workers", "2"]) == 1
    out = capsys.readouterr().out
    assert "nowhere is not there -> start the game once, or set TRACKMANIA_BASE_PATH" in out
    assert "nowhere-1 is not there" in out
    assert "copy plugin/TrackmasterLink.as into" in out
    assert "have to be cured" in out


def test_the_plugin_folder_is_looked_into(instance: Instance) -> None:
    assert checks.check_plugin(instance).status == "fail"
    public = instance.plugins_path / "Python_Link.as"
    public.write_text("", encoding="ascii")
    assert "the public plugin" in checks.check_plugin(instance).text
    ours = instance.plugins_path / "TrackmasterLink.as"
    ours.write_bytes(PLUGIN.read_bytes())
    both = checks.check_plugin(instance)
    assert (both.status, "same port" in both.text) == ("fail", True)
    public.unlink()
    assert checks.check_plugin(instance) == checks.Finding("plugin 0", "ok", f"TrackmasterLink.as {PLUGIN_VERSION}")
    ours.write_text('const string PLUGIN_VERSION = "0.9";\n', encoding="ascii")
    assert "of version 0.9" in checks.check_plugin(instance).text


def test_the_user_folder_must_be_one(instance: Instance, tmp_path: Path) -> None:
    assert checks.check_user_folder(instance).status == "ok"
    (tmp_path / "other").mkdir()
    wrong = checks.check_user_folder(dataclasses.replace(instance, user_path=tmp_path / "other"))
    assert "no folder Tracks" in wrong.text
    assert checks.check_user_folder(dataclasses.replace(instance, user_path=tmp_path / "no")).status == "fail"


def test_a_port_is_looked_at_without_taking_the_clients_place(
    start: Callable[..., Standin], instance: Instance, connect: Callable[..., LinkClient]
) -> None:
    assert checks.check_port(instance).status == "warn"
    standin = start()
    client = connect(standin)
    client.connect()
    here = dataclasses.replace(instance, port=standin.port)
    assert checks.check_port(here).status == "ok"
    assert client.is_in_menus(), "the session goes on"
    client.close()
    assert checks.check_session(here).text == f"our plugin {PLUGIN_VERSION}, in its menus"
    plain = start(speaks_ours=False)
    assert checks.check_session(dataclasses.replace(instance, port=plain.port)).text.startswith("the public plugin")
    nobody = checks.check_session(instance)
    assert (nobody.status, "nothing listens" in nobody.text) == ("fail", True)


def test_a_misspelt_name_in_dotenv_is_found(tmp_path: Path) -> None:
    assert checks.check_dotenv(tmp_path / ".env").status == "note"
    (tmp_path / ".env").write_text("BASE_TMI_PROT=1\nWANDB_KEY=x\n", encoding="utf-8")
    finding = checks.check_dotenv(tmp_path / ".env")
    assert finding.status == "fail"
    assert "BASE_TMI_PROT (did you mean BASE_TMI_PORT?)" in finding.text
    (tmp_path / ".env").write_text("BASE_TMI_PORT=1\nWANDB_KEY=x\n", encoding="utf-8")
    assert checks.check_dotenv(tmp_path / ".env").text.endswith("sets BASE_TMI_PORT")


def test_missing_and_old_packages_are_named() -> None:
    assert checks.check_packages(["numpy>=2"]).status == "ok"
    assert checks.check_packages(['nothing-like-this; extra == "dev"']).status == "ok"
    finding = checks.check_packages(["no-such-distribution>=1", "numpy<1"])
    assert "no-such-distribution is missing" in finding.text
    assert "expected <1" in finding.text


def test_the_launcher_is_looked_for(instance: Instance, tmp_path: Path) -> None:
    loader = tmp_path / "TMLoader" / "TMLoader.exe"
    settings = GameSettings(tmloader_path=loader)
    assert "TMLoader is not there" in checks.check_launcher(settings, instance, on_windows=True).text
    (loader.parent / "profiles").mkdir(parents=True)
    loader.write_bytes(b"")
    assert checks.check_launcher(settings, instance, on_windows=True).status == "note"
    (loader.parent / "profiles" / "other.yaml").write_text("", encoding="ascii")
    assert "has no profile 'default', but other" in checks.check_launcher(settings, instance, on_windows=True).text
    (loader.parent / "profiles" / "default.yaml").write_text("", encoding="ascii")
    assert checks.check_launcher(settings, instance, on_windows=True).status == "ok"
    assert checks.check_launcher(settings, instance, on_windows=False).status == "warn"
    settings = settings.model_copy(update={"launch_script": tmp_path / "none.sh"})
    assert checks.check_launcher(settings, instance, on_windows=False).status == "fail"
