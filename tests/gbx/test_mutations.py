"""Damage of every kind: a file ends in a value or in ``GbxError``, fast and small.

As a program it runs as many cases as asked, on our own files and on real ones:

    python tests/gbx/test_mutations.py --cases 20000 [--corpus FOLDER] [--seed 0]
"""

import argparse
import importlib.util
import random
import re
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from trackmaster import gbx
from trackmaster.gbx.container import read_body, read_shell
from trackmaster.gbx.writer import pack_body

CASES = 2_400
MAX_CPU_S = 2.0
MAX_MEMORY_BYTES = 512 << 20
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF,
            0x40000000, 0x534B4950, 0xFACADE01)  # fmt: skip


def flip_bytes(data: bytearray, rng: random.Random) -> None:
    """Replace a few bytes."""
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        data[rng.randrange(len(data))] = rng.randrange(256)


def flip_bit(data: bytearray, rng: random.Random) -> None:
    """Turn one bit."""
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def overwrite_number(data: bytearray, rng: random.Random) -> None:
    """Put an extreme number over four bytes: lengths, counts, ids, node numbers."""
    at = rng.randrange(max(1, len(data) - 4))
    data[at : at + 4] = struct.pack("<I", rng.choice((*EXTREMES, rng.randrange(1 << 32), len(data))))


def nudge_number(data: bytearray, rng: random.Random) -> None:
    """Change a number a little."""
    at = rng.randrange(max(1, len(data) - 4))
    value = int.from_bytes(data[at : at + 4], "little") + rng.choice((-2, -1, 1, 2, 4, 61))
    data[at : at + 4] = struct.pack("<I", value & 0xFFFFFFFF)


def cut(data: bytearray, rng: random.Random) -> None:
    """Cut the end off."""
    del data[rng.randrange(len(data)) :]


def remove(data: bytearray, rng: random.Random) -> None:
    """Take out a stretch."""
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 2, 4, 8, 61, 200))]


def repeat(data: bytearray, rng: random.Random) -> None:
    """Repeat a stretch, now and then many times."""
    at = rng.randrange(len(data))
    data[at:at] = data[at : at + rng.choice((1, 4, 12, 61))] * rng.choice((1, 1, 2, 500))


def transplant(data: bytearray, rng: random.Random) -> None:
    """Copy a stretch over another place."""
    size = rng.choice((4, 8, 16, 64))
    source, target = rng.randrange(len(data)), rng.randrange(len(data))
    data[target : target + size] = data[source : source + size]


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip_bytes,
    flip_bit,
    overwrite_number,
    nudge_number,
    cut,
    remove,
    repeat,
    transplant,
)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return ``data`` with one or two damages."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2))):
        if out:
            rng.choice(DAMAGES)(out, rng)
    return bytes(out)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Damage the file as it is, its unpacked body, or the ghost data inside the body."""
    kind = rng.choice(("file", "header", "body", "body", "ghost"))
    if kind == "file":
        return damaged(data, rng)
    shell = read_shell(data, "whole")
    if kind == "header":
        return damaged(data[: shell.header_end + 8], rng) + data[shell.header_end + 8 :]
    body = read_body(data, shell, "whole")
    mark = struct.pack("<I", 0x0303F005)
    at = body.data.rfind(mark)  # the last one: an embedded map may show the number of a ghost of its own, packed
    if kind == "ghost" and at >= 0:
        size = int.from_bytes(body.data[at + 8 : at + 12], "little")
        blob = damaged(zlib.decompress(body.data[at + 12 : at + 12 + size]), rng)
        packed = zlib.compress(blob, 1)
        chunk = mark + struct.pack("<II", len(blob), len(packed)) + packed
        changed = body.data[:at] + chunk + body.data[at + 12 + size :]
    else:
        changed = damaged(body.data, rng)
    head = data[:7] + b"U" + data[8 : shell.header_end]
    return head + pack_body(body.node_count, changed, compress=False)


def use(data: bytes) -> str:
    """Read a file in every way and say how it ended."""
    ending = "read"
    for read in (gbx.read, gbx.read_header, gbx.strip_intro_clips):
        try:
            read(data)
        except gbx.GbxError as error:
            if not str(error).endswith("."):
                raise ValueError(f"an error must be a sentence, this is not: {error}") from error
            ending = "refused" if read is gbx.read else ending
    return ending


def run_cases(files: list[bytes], cases: int, seed: int) -> tuple[Counter[str], float]:
    """Run ``cases`` mutations in turn over ``files``; return how they ended and the longest processor time in s."""
    rng = random.Random(seed)
    endings: Counter[str] = Counter()
    longest_s = 0.0
    for case in range(cases):
        data = mutate(files[case % len(files)], rng)
        start = time.process_time()
        try:
            endings[use(data)] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}, case {case}: {type(error).__name__} instead of GbxError") from error
        longest_s = max(longest_s, time.process_time() - start)
    return endings, longest_s


def own_files(build: object) -> list[bytes]:
    """Small files of our own that hold every kind of node we write."""
    plain = gbx.write_challenge(build.make_map())  # type: ignore[attr-defined]
    ghost = build.make_ghost(12)  # type: ignore[attr-defined]
    return [
        plain,
        gbx.write_challenge(build.make_map(), compress=False),  # type: ignore[attr-defined]
        build.make_map_with_intro(),  # type: ignore[attr-defined]
        gbx.write_replay(plain, ghost),
        gbx.write_replay(plain, [ghost, ghost], compress=False),
        gbx.write_ghost(ghost),
    ]


def load_builders() -> object:
    """Load the builders of this folder's conftest, which is no package."""
    spec = importlib.util.spec_from_file_location("gbx_builders", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_as_program(*arguments: str) -> tuple[Counter[str], str]:
    """Run this file as a program of its own, whose memory can be limited; return how the cases ended and its text."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]
    return Counter(
        {word: int(count) for word, count in re.findall(r"'(read|refused)': (\d+)", done.stdout)}
    ), done.stdout


def test_damaged_own_files_end_in_a_value_or_a_gbx_error() -> None:
    endings, said = run_as_program("--cases", str(CASES), "--seed", "1")
    assert endings.total() == CASES
    assert endings["refused"] > CASES / 2, f"most damage must be noticed: {said}"
    assert endings["read"] > 0, "some damage (a letter of a name) is harmless"


@pytest.mark.corpus
def test_damaged_real_files_end_in_a_value_or_a_gbx_error(corpus_dir: Path) -> None:
    endings, said = run_as_program("--cases", "800", "--seed", "2", "--corpus", str(corpus_dir))
    assert endings.total() == 800
    assert endings["refused"] > 200, said


def test_a_case_that_takes_too_long_fails_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["test_mutations.py", "--cases", "1"])
    monkeypatch.setitem(globals(), "limit_memory", lambda: None)
    for longest_s, code in ((MAX_CPU_S + 0.1, 1), (MAX_CPU_S - 0.1, 0)):
        monkeypatch.setitem(globals(), "run_cases", lambda *_, s=longest_s: (Counter(), s))
        assert main() == code


def limit_memory() -> None:
    """Let no case take more than the allowed memory on top of what the program itself holds."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    own_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (own_bytes + MAX_MEMORY_BYTES,) * 2)


def main() -> int:
    """Run many cases once and print how they ended; the exit code is 1 if one of them took too long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--corpus", type=Path, help="folder of real files, searched recursively")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    files = own_files(load_builders())
    if arguments.corpus is not None:
        for path in sorted(p for p in arguments.corpus.rglob("*") if p.name.lower().endswith(".gbx")):
            data = path.read_bytes()
            try:
                gbx.read(data)
            except gbx.GbxError:
                continue
            files.append(data)
    limit_memory()
    start = time.perf_counter()
    endings, longest_s = run_cases(files, arguments.cases, arguments.seed)
    print(
        f"{arguments.cases} cases over {len(files)} files in {time.perf_counter() - start:.1f} s: {dict(endings)}, "
        f"longest {longest_s * 1e3:.0f} ms, never more than {MAX_MEMORY_BYTES >> 20} MB, nothing but GbxError"
    )
    return 0 if longest_s < MAX_CPU_S else 1


if __name__ == "__main__":
    sys.exit(main())
