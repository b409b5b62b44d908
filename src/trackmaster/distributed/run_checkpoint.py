"""The checkpoint of a training run: one ``.tcpt`` file, and the memory in a folder beside it.

The file is a zip archive without compression that holds ``state.json``, the agent's files, and the state of every
generator. A save writes the memory's new rows first, then the archive that names them, then deletes what the archive
before it named; whenever the power fails, one archive is whole and its memory is there.
"""

import json
import random
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from trackmaster.distributed.training_offline import TorchTrainingOffline
from trackmaster.files import atomic_path
from trackmaster.rl.files.checkpoint import CheckpointError
from trackmaster.rl.memory.shards import drop_older
from trackmaster.rl.samples.chunk import SampleError

FORMAT, VERSION = "trackmaster.tcpt", 1
STATE = "state.json"
MAX_STATE_BYTES = 64 * 2**20


def memory_folder(path: Path) -> Path:
    """Return where the memory of a checkpoint lies."""
    return path.with_name(f"{path.stem}.memory")


def save_training(training: TorchTrainingOffline, path: Path, *, say: Callable[[str], None] = print) -> None:
    """Write a checkpoint; one that is there stays whole until the new one is."""
    memory = _save_memory(training, path, say)
    with tempfile.TemporaryDirectory(prefix="trackmaster-") as name:
        folder = Path(name)
        state = {
            "format": FORMAT, "version": VERSION, "training": training.state(), "agent": training.agent.save(folder),
            "agent_class": type(training.agent).__name__, "memory": memory, "generators": _generators(),
        }  # fmt: skip
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(STATE, json.dumps(state))
            for file in sorted(folder.iterdir()):
                archive.write(file, f"agent/{file.name}")
    if memory is not None and "generation" in memory:
        drop_older(memory_folder(path), int(memory["generation"]))


def load_training(
    training: TorchTrainingOffline, path: Path, *, reset_agent: bool = False, say: Callable[[str], None] = print
) -> None:
    """Continue a freshly made training where a checkpoint was taken.

    Args:
        training: made with the arguments of this run.
        path: the checkpoint.
        reset_agent: keep the memory and begin with a new agent (RESET_TRAINING).
        say: where lines for people go.

    Raises:
        CheckpointError: the file is damaged or something else.
        WeightsError: it belongs to another agent.
    """
    with tempfile.TemporaryDirectory(prefix="trackmaster-") as name:
        state = _unpack(path, Path(name))
        try:
            if not reset_agent:
                training.agent.load(Path(name), state["agent"])
            begin = {"epoch": 0, "round": 0, "step": 0, "total_updates": 0} if reset_agent else {}
            training.restore({**state["training"], **begin})
            _load_memory(training, state["memory"], path, say)
            _set_generators(state["generators"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{path}: its {STATE} is incomplete ({type(error).__name__}: {error}). Delete it to start over."
            ) from error


def _save_memory(training: TorchTrainingOffline, path: Path, say: Callable[[str], None]) -> dict[str, Any] | None:
    save = getattr(training.memory, "save", None)
    if save is None:
        return None
    try:
        state: dict[str, Any] = save(memory_folder(path))
    except SampleError as error:
        say(f"The memory is not part of the checkpoint: {error}")
        return None
    return state


def _load_memory(
    training: TorchTrainingOffline, state: dict[str, Any] | None, path: Path, say: Callable[[str], None]
) -> None:
    if state is None:
        say("The memory was not saved; it fills again before training goes on.")
        return
    try:
        training.memory.load(memory_folder(path), state)
    except SampleError as error:
        raise CheckpointError(f"{error} (The memory belongs to {path}.)") from None
    except FileNotFoundError:
        raise CheckpointError(
            f"{memory_folder(path)}: the memory of {path} is missing. Put it back, or delete the checkpoint to "
            "start over."
        ) from None


def _unpack(path: Path, folder: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(STATE).file_size > MAX_STATE_BYTES:
                raise CheckpointError(f"{path}: its {STATE} is larger than any checkpoint's.")
            state: dict[str, Any] = json.loads(archive.read(STATE))
            if state["format"] != FORMAT or state["version"] != VERSION:
                raise CheckpointError(
                    f"{path}: written as {state['format']} version {state['version']}, this program reads {VERSION}."
                )
            for entry in archive.infolist():
                place = PurePosixPath(entry.filename)
                if entry.filename == STATE:
                    continue
                if place.parts[:-1] != ("agent",) or place.name in ("", ".", "..") or "\\" in place.name:
                    raise CheckpointError(f"{path}: holds {entry.filename!r}, which no checkpoint of ours does.")
                (folder / place.name).write_bytes(archive.read(entry))
            return state
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError, RecursionError, NotImplementedError) as error:
        raise CheckpointError(
            f"{path}: no whole checkpoint ({type(error).__name__}: {error}). Delete it to start over from scratch."
        ) from None


def _generators() -> dict[str, Any]:
    """Return the state of the global generators, which agents of others draw from."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002 - of others' draws
    found: dict[str, Any] = {
        "python": [version, list(words), gauss],
        "numpy": [kind, [int(k) for k in keys], position, has_gauss, cached],
        "torch": bytes(torch.get_rng_state().tolist()).hex(),
    }
    if torch.cuda.is_available():
        found["cuda"] = [bytes(s.cpu().tolist()).hex() for s in torch.cuda.get_rng_state_all()]
    return found


def _set_generators(state: dict[str, Any]) -> None:
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(_bytes_tensor(state["torch"]))
    if torch.cuda.is_available() and len(state.get("cuda", ())) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([_bytes_tensor(s) for s in state["cuda"]])


def _bytes_tensor(text: str) -> torch.Tensor:
    return torch.tensor(list(bytes.fromhex(text)), dtype=torch.uint8)
