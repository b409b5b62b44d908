"""How fast frames become a cache, batches and a trained encoder; ratios against the obvious way in the same run.

    python benchmarks/bench_pretrain.py [--frames 2000] [--threads 1] [--rounds 5] [--check]

Frames are those of a capture of bundled replays (256x256 JPEG, quality 95) in a temporary folder. Figures "per core"
are over processor time, which other work on the machine disturbs less than wall time. --check fails below the bars in
this file.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from trackmaster.allocator import keep_freed_memory
from trackmaster.capture import CaptureConfig
from trackmaster.capture.run import capture
from trackmaster.data import BatchLoader, CacheSpec, ReplayFrameDataset, ensure_cache, find_replays
from trackmaster.data.decode import FrameList, decode_frames
from trackmaster.pretrain.autoencoder import Autoencoder
from trackmaster.pretrain.simclr import SimClr
from trackmaster.pretrain.task import TaskSpec, VisualTask
from trackmaster.pretrain.vae import VariationalAutoencoder
from trackmaster.track.bundled import bundled_folder

SIDE = 64
SOURCE_SIDE = 256
BATCH = 128
MIN_DECODE_RATIO = 1.3
"""Scaled decoding against decode, convert and area resize, one thread each."""
MIN_GATHER_RATIO = 20.0
"""Batches from the cache against batches decoded on the fly."""


def best_of_interleaved(
    *candidates: Callable[[], object], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Shortest time of each candidate in seconds; turns alternate, so a busy machine slows all alike."""
    best = [float("inf")] * len(candidates)
    for _ in range(rounds):
        for i, run in enumerate(candidates):
            start = clock()
            run()
            best[i] = min(best[i], clock() - start)
    return best


def make_frames(root: Path, count: int) -> int:
    """Capture about ``count`` frames of the fastest replays of two tracks; return how many there are."""
    bundled = bundled_folder() / "replays"
    for slug in ("first_steps", "high_road"):
        (root / "replays" / slug).mkdir(parents=True)
        shutil.copy(min((bundled / slug).iterdir()), root / "replays" / slug)
    seconds = 10 + 18
    config = CaptureConfig(
        replays_dir=root / "replays", output_dir=root / "img", tracks_dir=root / "tracks", vcp_dir=root / "vcp",
        width=SOURCE_SIDE, height=SOURCE_SIDE, fps=min(100.0, count / seconds), use_tqdm=False, log_level="WARNING",
    )  # fmt: skip
    capture(config)
    return sum(len(replay) for replay in find_replays(root / "img"))


def decode_naively(files: FrameList, out: NDArray[np.uint8]) -> None:
    """Decode in colour, convert to grey, resize by area."""
    for row in range(len(files)):
        colour = cv2.imread(str(files[row]))
        grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
        out[row, 0] = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def train_step(kind: type[VisualTask], dtype: torch.dtype | None) -> Callable[[], object]:
    """Return one training step on a fixed batch of made-up frames."""
    generator = torch.Generator().manual_seed(0)
    task = kind(TaskSpec(SIDE, SIDE), generator)
    task.to_channels_last()
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-3)
    frames = torch.randint(0, 256, (BATCH, 1, 1, SIDE, SIDE), dtype=torch.uint8, generator=generator)

    def step() -> None:
        with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            loss = task.batch_loss(frames, generator).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(task.parameters(), 1.0)
        optimizer.step()

    return step


def bench_data(count: int, threads: int, rounds: int) -> tuple[float, float]:
    """Print decoding, cache and batch speeds; return the two ratios that are checked."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        count = make_frames(root, count)
        replays = find_replays(root / "img")
        size_bytes = sum(int(replay.sizes_bytes.sum()) for replay in replays) / count
        print(f"{count} frames of {SOURCE_SIDE}x{SOURCE_SIDE}, {size_bytes / 1000:.1f} kB each")
        files = FrameList.of([replay.path for replay in replays], [replay.files for replay in replays])
        out = np.empty((count, 1, SIDE, SIDE), dtype=np.uint8)
        naive, ours = best_of_interleaved(
            lambda: decode_naively(files, out),
            lambda: list(decode_frames(files, out, workers=1)),
            rounds=rounds,
            clock=time.process_time,
        )
        (threaded,) = best_of_interleaved(lambda: list(decode_frames(files, out, workers=threads)), rounds=rounds)
        print(f"decode JPEG 256x256 to 64x64: {count / ours:8.0f} frames/s per core, {naive / ours:.1f}x naive")
        print(f"                              {count / threaded:8.0f} frames/s on {threads} threads")
        spec = CacheSpec(root / "img", SIDE, SIDE)

        def build() -> object:
            return ensure_cache(spec, root / "cache", force=True, workers=threads, show_progress=False)

        (wall_s,) = best_of_interleaved(build, rounds=rounds)
        (cpu_s,) = best_of_interleaved(build, rounds=rounds, clock=time.process_time)
        print(
            f"whole cache build:            {count / wall_s:8.0f} frames/s on {threads} threads, listing included; "
            f"{count / cpu_s:.0f} per core"
        )
        cache = ensure_cache(spec, root / "cache")
        live = ReplayFrameDataset(replays, width=SIDE, height=SIDE)
        from_cache, from_files = best_of_interleaved(
            lambda: list(BatchLoader(cache.train, BATCH, seed=0, workers=1).batches(0)),
            lambda: list(BatchLoader(live, BATCH, seed=0, workers=1).batches(0)),
            rounds=rounds,
        )
        ratio = from_files / from_cache
        print(f"batches of {BATCH} from the cache:  {count / from_cache:8.0f} frames/s, {ratio:.0f}x live decoding")
        return naive / ours, ratio


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    keep_freed_memory()  # as every training does
    decode_ratio, gather_ratio = bench_data(args.frames, args.threads, args.rounds)
    torch.set_num_threads(args.threads)
    tasks: dict[str, type[VisualTask]] = {"ae": Autoencoder, "vae": VariationalAutoencoder, "simclr": SimClr}
    for name, kind in tasks.items():
        steps = train_step(kind, None), train_step(kind, torch.bfloat16)
        full, half = best_of_interleaved(*steps, rounds=args.rounds)
        cpu_s, _ = best_of_interleaved(*steps, rounds=args.rounds, clock=time.process_time)
        print(
            f"train {name:<6} batch {BATCH}: {BATCH / full:8.0f} samples/s in float32, {BATCH / half:.0f} in bfloat16, "
            f"{args.threads} threads; {BATCH / cpu_s:.0f} per core in float32"
        )
    if args.check and (decode_ratio < MIN_DECODE_RATIO or gather_ratio < MIN_GATHER_RATIO):
        raise SystemExit(
            f"decoding is {decode_ratio:.1f}x naive (at least {MIN_DECODE_RATIO}), the cache {gather_ratio:.0f}x live "
            f"decoding (at least {MIN_GATHER_RATIO:.0f})"
        )


if __name__ == "__main__":
    main()
