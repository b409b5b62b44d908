"""What is said about flags that change nothing on the simulator, or on the real game."""

from trackmaster.capture.config import CaptureConfig


def game_notes(config: CaptureConfig) -> list[str]:
    """Return one sentence for every given flag that changes nothing on the real game."""
    notes = []
    if config.allow_unknown_blocks:
        notes.append("--allow-unknown-blocks: the real game knows all blocks.")
    if config.autosave_ghost:
        notes.append("--autosave-ghost: the recorded car will be in the pictures.")
    return notes


def simulator_notes(config: CaptureConfig) -> list[str]:
    """Return one sentence for every given flag that changes nothing on the simulator."""
    notes = []
    if config.running_speed != 1.0:
        notes.append(
            f"--running-speed {config.running_speed:g}: the simulator's clock is virtual, every speed gives "
            "the same frames."
        )
    if config.base_tmi_port is not None:
        notes.append(f"--base-tmi-port {config.base_tmi_port}: no plugin is contacted, frames come from the simulator.")
    if config.write_enter_maps is not None:
        notes.append(
            f"--write-enter-maps {config.write_enter_maps}: every map starts on the simulator, nothing is written."
        )
    if config.autosave_ghost:
        notes.append("--autosave-ghost: there is no game folder to copy the replay into.")
    if config.keep_intros:
        notes.append("--keep-intros: the simulator shows no intro clips.")
    if config.force_speed:
        notes.append("--force-speed: every speed is exact on the simulator.")
    if config.respawn_action != "enter" or config.respawn_after_cp_ms:
        notes.append(
            "--respawn-action and --respawn-after-cp-ms shape scripts for the real game; the simulator respawns "
            "by itself."
        )
    return notes
