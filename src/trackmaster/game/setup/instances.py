"""One game instance: its port, its user folder, its scripts. Nothing of it is shared with another instance."""

from dataclasses import dataclass
from pathlib import Path

from trackmaster.errors import ConfigError
from trackmaster.game.setup.settings import GameSettings

LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Instance:
    """Where one instance of the game lives."""

    index: int
    port: int
    user_path: Path
    """Has ``Tracks/Challenges`` and ``Tracks/Replays/Autosaves``."""
    tmi_path: Path
    """Has ``Scripts`` and ``Plugins``."""
    profile: str
    """Of TMLoader."""

    @property
    def challenges_path(self) -> Path:
        """Maps that the game knows; it lists them when it starts."""
        return self.user_path / "Tracks" / "Challenges"

    @property
    def autosaves_path(self) -> Path:
        """Records of the account."""
        return self.user_path / "Tracks" / "Replays" / "Autosaves"

    @property
    def scripts_path(self) -> Path:
        """Input scripts that ``load`` finds."""
        return self.tmi_path / "Scripts"

    @property
    def plugins_path(self) -> Path:
        """Plugins of TMInterface."""
        return self.tmi_path / "Plugins"


def instance_of(settings: GameSettings, index: int) -> Instance:
    """Return instance ``index``: the first is the player's own game, the others have folders and profiles of their own.

    Instance i > 0 of a user folder ``TrackMania`` lives in ``TrackMania-i`` beside it, with TMInterface's files in
    ``TMInterface-i``, and is started by the profile ``default-i``.

    Raises:
        ConfigError: there is no such port.
    """
    port = settings.base_tmi_port + index
    if index < 0 or port > LAST_PORT:
        raise ConfigError(
            f"instance {index} would have port {port}, the last one is {LAST_PORT}: lower BASE_TMI_PORT or the number "
            "of games."
        )
    suffix = f"-{index}" if index else ""
    base = settings.trackmania_base_path
    return Instance(
        index=index,
        port=port,
        user_path=base.with_name(f"{base.name}{suffix}"),
        tmi_path=base.with_name(f"TMInterface{suffix}"),
        profile=f"{settings.tmloader_profile}{suffix}",
    )
