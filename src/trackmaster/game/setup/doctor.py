"""``trackmaster doctor``: everything that has to be right before the first race, with what to do where it is not."""

from collections.abc import Iterator

from trackmaster.game.setup import checks
from trackmaster.game.setup.checks import Finding
from trackmaster.game.setup.config import DoctorConfig
from trackmaster.game.setup.instances import instance_of
from trackmaster.game.setup.settings import GameSettings, load_game_settings

NAME_WIDTH = 14


def run_doctor(config: DoctorConfig) -> int:
    """Print one line per check; 1 if something has to be cured, else 0."""
    findings = []
    for finding in examine(config):
        findings.append(finding)
        print(_line(finding), flush=True)
    failed = [finding.name for finding in findings if finding.status == "fail"]
    warned = sum(finding.status == "warn" for finding in findings)
    if failed:
        print(f"{len(failed)} of {len(findings)} have to be cured: {', '.join(failed)}.")
        return 1
    print(f"All is well{f', {warned} with a warning' if warned else ''}.")
    return 0


def examine(config: DoctorConfig) -> Iterator[Finding]:
    """Yield the findings one by one, the quick and general ones first.

    Raises:
        ConfigError: the settings of the game cannot be read.
    """
    yield checks.check_python()
    yield checks.check_packages()
    yield checks.check_gpu()
    yield checks.check_dotenv(config.dotenv)
    flags = {"base_tmi_port": config.base_tmi_port, "trackmania_base_path": config.trackmania_base_path}
    settings = load_game_settings(flags, dotenv=config.dotenv, yaml=config.game_config)
    yield check_game(settings)
    if config.tm2020:
        from trackmaster.game.setup.checks_tm2020 import examine_tm2020

        yield from examine_tm2020(port=config.telemetry_port, layout=config.telemetry_layout)
    if not settings.is_configured:
        return
    for index in range(config.workers):
        instance = instance_of(settings, index)
        yield checks.check_user_folder(instance)
        yield checks.check_launcher(settings, instance)
        yield checks.check_plugin(instance)
        yield checks.check_port(instance)
        if config.connect:
            yield checks.check_session(instance)


def check_game(settings: GameSettings) -> Finding:
    """Is a game configured, and who said so?"""
    if not settings.is_configured:
        return Finding("game", "ok", "no game is configured: everything runs on the embedded simulator, the default. "
                       "For the real game set BASE_TMI_PORT or TRACKMANIA_BASE_PATH in .env")  # fmt: skip
    said = ", ".join(f"{name} from {source}" for name, source in settings.sources.items())
    return Finding("game", "ok", f"port {settings.base_tmi_port}, {settings.trackmania_base_path} ({said})")


def _line(finding: Finding) -> str:
    cure = f" -> {finding.cure}" if finding.cure and finding.status != "ok" else ""
    return f"{finding.status:<5} {finding.name:<{NAME_WIDTH}} {finding.text}{cure}"
