"""The folder a pre-training run leaves: ``run_NNN/`` with ``encoder.pt``, its metadata and the history."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from trackmaster.errors import ConfigError
from trackmaster.files import atomic_path, atomic_write_bytes, atomic_write_text
from trackmaster.nn.encoder import arch_hash
from trackmaster.nn.torch_writing import write_torch
from trackmaster.pretrain.errors import PretrainError
from trackmaster.strict_yaml import read_yaml

ENCODER_NAME = "encoder.pt"
META_NAME = "pretrain_meta.json"
RESOLVED_CONFIG_NAME = "resolved_config.yaml"
META_VERSION = "1"
UNFINISHED = ".*.part*"
"""Names of files that a killed process was writing."""


@dataclass(frozen=True)
class Artifact:
    """A finished (or stopped) run on disk."""

    path: Path
    meta: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path) -> "Artifact":
        """Read the record of a run.

        Raises:
            PretrainError: the folder holds no readable record or no encoder.
        """
        if not (path / ENCODER_NAME).is_file():
            raise PretrainError(f"{path}: holds no {ENCODER_NAME}. Name the folder of a run (run_NNN).")
        return cls(path, read_meta(path / META_NAME))

    @property
    def encoder_path(self) -> Path:
        """The encoder's weights: the only file an agent needs."""
        return self.path / ENCODER_NAME

    @property
    def best_loss(self) -> float | None:
        """Monitored loss of the exported epoch."""
        value = self.meta.get("best_loss")
        return None if value is None else float(value)


def allocate_run_dir(output_dir: Path, run_name: str | None, *, overwrite: bool = False) -> Path:
    """Make the folder of a new run and return it.

    An earlier run that is replaced is kept aside until ``write_artifact`` or ``put_back`` ends the new one.

    Args:
        output_dir: folder of all runs.
        run_name: name of the folder; None takes the first free of run_001, run_002 and so on.
        overwrite: replace an earlier run of that name.

    Raises:
        PretrainError: the name is taken, or is no plain name.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    if run_name is None:
        return _first_free(output_dir)
    if Path(run_name).name != run_name or run_name in {".", ".."}:
        raise PretrainError(f"run name {run_name!r} is a path: give a plain name, and the folder with --output-dir.")
    path = output_dir / run_name
    if path.exists() and not _was_killed_at_once(path):
        if not overwrite:
            raise PretrainError(
                f"{path}: this run exists already. Choose another --run-name, continue it with --resume {path}, "
                "or replace it with --overwrite."
            )
        if not (path / RESOLVED_CONFIG_NAME).is_file() and any(path.iterdir()):
            raise PretrainError(f"{path}: holds no run of ours, so it is not replaced. Choose another --run-name.")
        _set_aside(path)
    path.mkdir(exist_ok=True)
    return path


def _was_killed_at_once(path: Path) -> bool:
    """Tell whether a folder is that of a run that was killed before its settings were written, and clear it then."""
    if not path.is_dir() or set(path.iterdir()) != set(path.glob(UNFINISHED)):
        return False
    for leftover in path.iterdir():
        leftover.unlink()
    return True


def put_back(path: Path) -> bool:
    """Undo the replacement of an earlier run by one that left no artefact; tell whether there was an earlier one."""
    earlier = _aside(path)
    if not earlier.is_dir() or (path / META_NAME).is_file():
        return False
    shutil.rmtree(path)
    earlier.rename(path)
    return True


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


def _set_aside(path: Path) -> None:
    """Move a run out of the way; one that a killed replacement left aside is worth more than that replacement."""
    earlier = _aside(path)
    if earlier.is_dir() and not (path / META_NAME).is_file():
        shutil.rmtree(path)
        return
    shutil.rmtree(earlier, ignore_errors=True)
    path.rename(earlier)


def _first_free(output_dir: Path) -> Path:
    number = 1
    while True:
        path = output_dir / f"run_{number:03d}"
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def write_artifact(path: Path, weights: Mapping[str, Mapping[str, Tensor]], meta: Mapping[str, Any]) -> Artifact:
    """Write the weights and the record of a run; the record comes last, so its presence means the rest is there.

    The run that this one replaces is removed after that.

    Args:
        path: folder of the run.
        weights: ``encoder`` and, for concatenated stacks, ``fusion``.
        meta: keys of the record, without ``version`` and ``arch_hash``.

    Raises:
        OSError: the disk refuses; each file is its old or its new self then.
    """
    encoder = {key: value.contiguous() for key, value in weights["encoder"].items()}
    full = {"version": META_VERSION, **meta, "arch_hash": arch_hash(encoder)}
    with atomic_path(path / ENCODER_NAME) as temporary:
        write_torch(encoder, temporary)
    facts = {"arch_hash": full["arch_hash"], "task": str(meta.get("task", ""))}
    atomic_write_bytes(path / "encoder.safetensors", save(encoder, metadata=facts))
    if "fusion" in weights:
        with atomic_path(path / "fusion.pt") as temporary:
            write_torch(dict(weights["fusion"]), temporary)
    atomic_write_text(path / META_NAME, json.dumps(full, indent=2, ensure_ascii=False) + "\n")
    shutil.rmtree(_aside(path), ignore_errors=True)
    return Artifact(path, full)


def load_encoder(path: Path) -> dict[str, Tensor]:
    """Read an encoder's state dict; nothing in the file is executed.

    Args:
        path: an ``encoder.pt``, or the folder of a run.

    Raises:
        PretrainError: the file is missing, is no state dict, or is a training state.
    """
    file = path / ENCODER_NAME if path.is_dir() else path
    if not file.is_file():
        raise PretrainError(f"{file}: no such file. Name the encoder.pt of a run, or the run's folder.")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise PretrainError(f"{file}: is no file of weights that can be read ({_first_line(error)}).") from None
    if isinstance(state, dict) and ("recorder" in state or "state_dict" in state):
        raise PretrainError(f"{file}: is a training state for resuming; an agent takes the {ENCODER_NAME} beside it.")
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise PretrainError(f"{file}: holds {type(state).__name__}, expected a state dict of tensors.")
    return {str(key): value for key, value in state.items()}


def read_meta(path: Path) -> dict[str, Any]:
    """Read a ``pretrain_meta.json``.

    Raises:
        PretrainError: it is missing or no JSON object.
    """
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PretrainError(
            f"{path}: cannot be read ({error.strerror}). It stands beside the encoder.pt of a run."
        ) from None
    except ValueError as error:
        raise PretrainError(f"{path}: is no JSON ({error}). Copy it again from the run it belongs to.") from None
    if not isinstance(meta, dict):
        raise PretrainError(f"{path}: holds {type(meta).__name__}, expected an object.")
    return meta


def write_resolved_config(path: Path, text: str) -> str:
    """Write the configuration of a run and return its SHA-256."""
    atomic_write_text(path / RESOLVED_CONFIG_NAME, text)
    return hashlib.sha256(text.encode()).hexdigest()


def read_resolved_config(path: Path) -> dict[str, Any]:
    """Return the configuration a run began with.

    Raises:
        PretrainError: the folder holds none.
    """
    try:
        return read_yaml(path / RESOLVED_CONFIG_NAME)
    except ConfigError as error:
        raise PretrainError(f"{path}: is no run that can be resumed. {error}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
