"""Every command that README and docs print is one the program takes."""

import ast
import importlib
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from trackmaster import cli, gbx
from trackmaster.distributed.config_json import command as seed_command

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted(DOCS.glob("*.md")),
    *sorted((DOCS / "experiments").glob("*.md")),
]


def commands(page: Path) -> Iterator[str]:
    """The lines of every ``sh`` block, continued lines joined, comments and variable assignments dropped."""
    text_of_page = page.read_text(encoding="utf-8")
    for kind, block in re.findall(r"^```(sh|bash|console)\n(.*?)^```", text_of_page, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            if kind == "console" and not line.startswith("$ "):
                continue  # what the command prints
            text = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line.split(" #")[0].strip().removeprefix("$ "))
            if text and not text.startswith("#"):
                yield text


COMMANDS = [(page.name, command) for page in PAGES for command in commands(page)]


def inline_commands(page: Path) -> Iterator[str]:
    """Commands inside of sentences; words in capitals stand for something, ``...`` for more of the same."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for command in re.findall(r"`((?:python|make|trackmaster|tensorboard|\.ci/run)(?: [^`]*)?)`", text):
        filled = command.replace("VERB", "train").removesuffix(" ...")
        if filled not in {"trackmaster", "make", "python"}:
            yield " ".join(filled.split())


INLINE = sorted({(page.name, command) for page in PAGES for command in inline_commands(page)})


def verb_of_script(path: str) -> str:
    """The verb that a script of ``scripts/`` hands its flags to."""
    found = re.search(r'run_verb\(\s*"([^"]+)"', (ROOT / path).read_text(encoding="utf-8"))
    assert found is not None, f"{path} calls no verb"
    return found.group(1)


def verb_of_module(name: str) -> str:
    """The verb behind ``python -m NAME`` with ``PYTHONPATH=scripts``."""
    return verb_of_script(f"scripts/{name.replace('.', '/')}.py")


def check_flags(verb: str, flags: list[str]) -> None:
    if "--help" in flags:
        return
    module = cli._load(cli.VERBS[verb].config)
    module.load(flags, prog=verb)


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[f"{page}: {command}" for page, command in COMMANDS])
def test_documented_commands_are_accepted(page: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    check_command(page, command)


@pytest.mark.parametrize(("page", "command"), INLINE, ids=[f"{page}: {command}" for page, command in INLINE])
def test_commands_inside_of_sentences_are_accepted(page: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = command.split()
    names_a_verb = words[0] == "trackmaster" and " ".join(words[1:]) in cli.VERBS
    names_a_script = len(words) == 2 and words[1].startswith("scripts/")
    names_a_module = len(words) == 3 and words[2].startswith("replays_tmnf.")
    if names_a_module:
        assert verb_of_module(words[2]) in cli.VERBS
    elif names_a_script:
        assert verb_of_script(words[1]) in cli.VERBS
    elif not names_a_verb:  # a verb that is only named may need flags
        check_command(page, command)


def check_command(page: str, command: str) -> None:
    """Look a command up: target, task, file; the flags of a verb are parsed."""
    words = shlex.split(command)
    tasks = set(re.findall(r'"(\w+)": \w+', (ROOT / "tasks.py").read_text(encoding="utf-8").split("TASKS =")[1]))
    if words[0] == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        assert words[1] in targets
    elif words[:2] == ["python", "tasks.py"]:
        assert words[2] in tasks
    elif words[:2] == ["python", "-m"] and words[2] in {"pip", "pytest"}:
        return
    elif words[:2] == ["python", "-m"] and words[2].startswith("benchmarks."):
        assert (ROOT / f"{words[2].replace('.', '/')}.py").is_file()
    elif words[:2] == ["python", "-m"] and words[2].startswith("replays_tmnf."):
        check_flags(verb_of_module(words[2]), words[3:])
    elif words[0] == "trackmaster" or words[:3] == ["python", "-m", "trackmaster"]:
        rest = words[1:] if words[0] == "trackmaster" else words[3:]
        verb = cli._verb_of(rest)
        if rest[0] in {"--help", "--version"} or (verb is None and rest[1:] == ["--help"]):
            return
        assert verb is not None, f"{page}: '{command}' names no verb"
        check_flags(verb, rest[len(verb.split()) :])
    elif words[:2] == ["python", "trackmaster_training.py"]:
        seed_command.parser().parse_args(words[2:])
    elif words[0] == "python" and words[1].startswith("scripts/"):
        check_flags(verb_of_script(words[1]), words[2:])
    elif words[0] == "python" and words[1].startswith(("benchmarks/", "tests/", "docs/")):
        assert (ROOT / words[1]).is_file()
    elif words[0] == ".ci/run":
        assert (ROOT / ".ci" / "run").is_file()
    elif words[0] == "tensorboard":
        return
    else:
        pytest.fail(f"{page}: nobody checks '{command}'")


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) >= 10
    assert ("README.md", "python tasks.py test") in INLINE
    assert len(INLINE) >= 10


@pytest.mark.parametrize(
    "command",
    ["make tset", "python tasks.py dmo", "trackmaster trian", "python benchmarks/bench_nothing.py", "make -n"],
)
def test_a_wrong_command_is_noticed(command: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_command("a page", command)


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def given_names() -> dict[str, object]:
    """What a reader has at hand where a page does not say where it comes from: a car at rest, full gas, a script."""
    return {
        "position_m": np.zeros((5, 3)),
        "rotation": np.tile(np.eye(3), (5, 1, 1)),
        "velocity_mps": np.zeros((5, 3)),
        "angular_velocity_radps": np.zeros((5, 3)),
        "rpm": np.zeros(5),
        "timeline": gbx.InputTimeline.from_keys(np.ones(874, np.uint8)),
        "text": "0 press up",
        "duration_ms": 500,
    }


def check_imports(block: str, page: str) -> None:
    """Import what a block imports, without running it."""
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name), f"{page} imports {alias.name}, which {node.module} does not have"


SLOW_PAGES = {"expert.md"}
"""Pages whose example searches for minutes; the room's own tests run the same calls on a short road."""


@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)], ids=lambda page: page.name)
def test_documented_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a page run one after the other; an open ``...`` at the end of a list stands for nothing."""
    monkeypatch.chdir(tmp_path)
    bundled = ROOT / "src" / "trackmaster" / "bundled"
    shutil.copy(min((bundled / "replays" / "first_steps").iterdir()), "run.Replay.Gbx")
    shutil.copy(bundled / "tracks" / "first_steps.Challenge.Gbx", "map.Challenge.Gbx")
    folder = tmp_path / "maps" / "img" / "1001" / "pos1_driver_90000ms.replay"
    folder.mkdir(parents=True)
    keys = {"accelerate": True, "brake": False, "left": False, "right": False}
    entry = {"file": "frame_00000_0ms.jpeg", "step": 0, "time_ms": 0, "inputs": keys, "action_idx": 0}
    (folder / "manifest.json").write_text(
        json.dumps({"entries": [entry], "actions": [0], "meta": []}), encoding="utf-8"
    )
    namespace = given_names()
    for block in python_blocks(page):
        code = compile(block.replace(", ...)", ",)"), page.name, "exec")
        if page.name in SLOW_PAGES:
            check_imports(block, page.name)
        else:
            exec(code, namespace)
