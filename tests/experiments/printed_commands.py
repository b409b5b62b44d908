"""Every command line of the community's documents on replays and pre-training, as printed; why some are not run here.

S0 and S1 are the two editions of the page on replays, S4 is the roadmap of pre-training. Continued lines keep their
backslash; the indentation in front of a line, and remarks behind ``#``, are left out.
"""

from dataclasses import dataclass

ELSEWHERE = "about downloading and filtering: the same is done for those in tests/replays/test_seed_commands.py"
CAPTURE = "about capture: run with its own data in tests/capture"
WINDOWS = "the form for Windows or PowerShell"


@dataclass(frozen=True)
class Printed:
    """One command line.

    Attributes:
        seeds: documents that print it.
        text: as printed.
        left_out: why it is not run here; empty if it is.
    """

    seeds: tuple[str, ...]
    text: str
    left_out: str = ""


BOTH = ("S0", "S1")
ALL = ("S0", "S1", "S4")

FRAMES = "python scripts/capture_replays_tmnf.py --replays-dir maps/replays --output-dir maps/img"
"""Where the frames of this test come from."""
PREPARE = r"""python scripts/prepare_pretrain_data.py \
--data-dir maps/img \
--output-dir cache/pretrain_64 \
--image-size 64 --n-stack 1 \
--val-fraction 0.1 --seed 42"""
AE = "python scripts/pretrain_visual_backbone.py --data-dir maps/img"
SIMCLR = r"""python scripts/pretrain_visual_backbone.py \
--data-dir maps/img --task simclr --val-fraction 0.1"""
NAMED = r"""python scripts/pretrain_visual_backbone.py \
--data-dir maps/img --task ae --run-name ae_v1"""
OWN_FILE = "python scripts/pretrain_visual_backbone.py --config my_experiment.yaml"
INJECT = r"""python scripts/init_iqn_from_encoder.py \
--encoder-pt output/ptretrain/vis/run_001/encoder.pt \
--save-dir save/"""
INJECT_V1 = (
    "python scripts/init_iqn_from_encoder.py --encoder-pt output/ptretrain/vis/v1/encoder.pt "
    "--save-dir output/ptretrain/vis/v1/"
)
DRY_RUN = r"""python scripts/init_iqn_from_encoder.py \
--encoder-pt output/ptretrain/vis/run_001/encoder.pt --dry-run"""
TRAIN = "python scripts/train.py"
ANALYZE = "scripts/analyze_experiment_by_relative_time.py A_scratch B1_ae B2_simclr"
"""Printed inside of a sentence, so without the interpreter in front."""

DOWNLOAD = "python -m replays_tmnf.download"
POPULAR = "--list-popular --output maps/track_ids.txt --per-page 1000"
PIPELINE = (
    "--track-ids maps/track_ids.txt --replays-dir ./maps/replays --tracks-dir ./maps/tracks "
    "--extract-tracks-from-replays --workers"
)
CHOSEN = "--track-ids maps/track_ids_no_respawn.txt --max-replays-per-track 1"
MAPTYPE = (
    "python scripts/filter_track_ids_custom_maptype.py --input maps/track_ids_no_respawn.txt "
    "--output maps/track_ids_standard.txt --tracks-dir maps/tracks"
)

COMMANDS = (
    Printed(BOTH, FRAMES),
    Printed(("S4",), PREPARE),
    Printed(ALL, AE),
    Printed(ALL, SIMCLR),
    Printed(("S4",), NAMED),
    Printed(("S4",), OWN_FILE),
    Printed(BOTH, INJECT),
    Printed(("S4",), INJECT_V1),
    Printed(("S4",), DRY_RUN),
    Printed(ALL, TRAIN),
    Printed(("S4",), ANALYZE),
    Printed(("S4",), '$env:PRETRAIN_TASK = "simclr"; $env:PRETRAIN_EPOCHS = "100"', WINDOWS),
    Printed(BOTH, f"set PYTHONPATH=scripts & {DOWNLOAD} {POPULAR}", WINDOWS),
    Printed(BOTH, f"set PYTHONPATH=scripts & {DOWNLOAD} {PIPELINE} 64 --api-workers 64", WINDOWS),
    Printed(BOTH, f"PYTHONPATH=scripts {DOWNLOAD} {POPULAR}", ELSEWHERE),
    Printed(BOTH, f"PYTHONPATH=scripts {DOWNLOAD} {PIPELINE} 256 --api-workers 32", ELSEWHERE),
    Printed(
        BOTH,
        "python scripts/filter_track_ids_no_respawn.py --input maps/track_ids.txt "
        "--output maps/track_ids_no_respawn.txt --workers 16 -r maps/replays",
        ELSEWHERE,
    ),
    Printed(BOTH, f"{MAPTYPE} --jobs 16", ELSEWHERE),
    Printed(BOTH, f"{MAPTYPE} --max-preview-duration 15.0 --jobs 16", ELSEWHERE),
    Printed(BOTH, "python scripts/fix_replay_filenames.py --dry-run", ELSEWHERE),
    Printed(BOTH, "python scripts/fix_replay_filenames.py", ELSEWHERE),
    Printed(
        ("S0",), f"{FRAMES} --workers 1 --width 256 --height 256 --running-speed 16 --fps 64 {CHOSEN}", CAPTURE
    ),
    Printed(
        ("S1",),
        f"{FRAMES} --workers 1 --width 256 --height 256 --running-speed 16 --fps 100 {CHOSEN} --vcp-dir maps/vcp",
        CAPTURE,
    ),
    Printed(
        ("S1",),
        "python scripts/capture_replays_tmnf.py --replays-dir maps/replays-A01 --output-dir maps/img-A01 --workers 1 "
        "--width 256 --height 256 --running-speed 1 --fps 100 --track-ids maps/replays-A01/track_ids.txt "
        "--max-replays-per-track 2 --vcp-dir maps/vcp-A01",
        CAPTURE,
    ),
    Printed(BOTH, f"{FRAMES} --workers 1 --width 256 --height 256 --running-speed 10 --fps 1 {CHOSEN}", CAPTURE),
    Printed(
        BOTH,
        "python scripts/capture_replays_tmnf_validate.py --replay-path "
        "maps/replays/924307/pos1_ben3847_89250ms.replay.gbx --output-dir maps/img_validate --fps 10 --step-ms 10",
        CAPTURE,
    ),
    Printed(
        BOTH,
        "python scripts/capture_replays_tmnf.py --replays-dir maps/replays --output-dir out --per-frame-json",
        CAPTURE,
    ),
    Printed(("S1",), f"{FRAMES} --vcp-dir maps/vcp --skip-bad-float-samples", CAPTURE),
    Printed(
        BOTH,
        "python scripts/capture_replays_tmnf.py --track-id 12345 --replays-dir maps/replays --output-dir out",
        CAPTURE,
    ),
    Printed(("S1",), "python scripts/cleanup_source_metadata.py --data-dir maps/img --apply --yes", CAPTURE),
)  # fmt: skip
