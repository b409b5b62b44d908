"""The command line answers in sentences, quickly, and imports only what a verb needs."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from trackmaster import cli
from trackmaster.config import PREFIXES, _submodel
from trackmaster.errors import ConfigError, InterruptedRunError, TrackmasterError


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys; from trackmaster.cli import main; main(['--help']); "
        "heavy = {'torch', 'warp', 'numpy', 'pydantic', 'lightning'} & set(sys.modules); "
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in cli.VERBS)


def test_the_module_runs_like_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trackmaster", "--version"], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("trackmaster ")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [(["tran"], "Did you mean 'train'?"), (["xyz"], "lists the verbs"), (["track"], "track coverage")],
)
def test_unknown_verbs_get_a_sentence(argv: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(cli.VERBS))
def test_every_verb_explains_its_flags(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([*name.split(), "--help"])
    assert stop.value.code == 0
    assert f"usage: trackmaster {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(cli.VERBS))
def test_every_verb_refuses_an_unknown_flag(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*name.split(), "--no-such-flag", "x"]) == 1  # verbs with file names take the x as one
    assert "--no-such-flag" in capsys.readouterr().err


def test_a_flag_for_what_is_written_without_one_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["drive", "--run-dir", "save/quick"]) == 1
    assert "RUN_DIR is written without a flag: leave --run-dir out." in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(cli.VERBS))
def test_every_verb_has_variables_of_its_own_and_refuses_a_misspelt_one(name: str) -> None:
    config = cli._load(cli.VERBS[name].config)
    prefix = config.model_config["env_prefix"]
    assert prefix == name.upper().replace(" ", "_") + "_"
    with pytest.raises(ConfigError, match=f"{prefix}NO_SUCH_THING sets nothing"):
        config.load(environment={f"{prefix}NO_SUCH_THING": "1"})


def test_variables_of_one_verb_do_not_stop_another() -> None:
    assert set(PREFIXES) == {f"{name.upper().replace(' ', '_')}_" for name in cli.VERBS}
    variables = {f"{prefix}{field}": "x" for prefix in PREFIXES for field in ("RUN_NAME", "USE_TQDM", "SEED", "OUTPUT")}
    for name, verb in cli.VERBS.items():
        config = cli._load(verb.config)
        flags = ["x"] if "paths" in config.model_fields else []
        required = {"data prepare": ["--data-dir", "x", "--output-dir", "y"], "evaluate": ["--run-dir", "x"]}
        required["inject"] = ["--encoder-pt", "x"]
        required["validate"] = ["--replay-path", "x"]
        required["compare"] = required["drive"] = required["pretrain probe"] = required["experiment run"] = ["x"]
        own = config.model_config["env_prefix"]
        others = {key: value for key, value in variables.items() if not key.startswith(own)}
        argv = [*flags, *required.get(name, [])]
        assert config.load(argv, environment=others) == config.load(argv, environment={})


def fields_without_description(model: type[BaseModel], place: str) -> list[str]:
    missing = []
    for field, info in model.model_fields.items():
        section = _submodel(info.annotation)
        if section is not None:
            missing += fields_without_description(section, f"{place}.{field}")
        elif not info.description:
            missing.append(f"{place}.{field}")
    return missing


@pytest.mark.parametrize("name", sorted(cli.VERBS))
def test_every_field_of_a_verb_is_described(name: str) -> None:
    assert fields_without_description(cli._load(cli.VERBS[name].config), name) == []


@pytest.mark.parametrize(
    ("raised", "code"),
    [(TrackmasterError("a sentence."), 1), (InterruptedRunError("kept."), 130), (KeyboardInterrupt(), 130)],
)
def test_errors_become_sentences_and_exit_codes(
    raised: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class FakeConfig:
        @classmethod
        def load(cls, argv: list[str], *, prog: str) -> "FakeConfig":
            return cls()

    def fail(config: FakeConfig) -> None:
        raise raised

    monkeypatch.setattr(cli, "_load", {"c": FakeConfig, "f": fail}.__getitem__)
    monkeypatch.setitem(cli.VERBS, "fake", cli.Verb("", "c", "f"))
    assert cli.main(["fake"]) == code
    error = capsys.readouterr().err
    assert error.startswith("trackmaster fake: ")
    assert "Traceback" not in error


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words",
    [["--help"], ["capture", "--help"], ["gbx", "show", "src/trackmaster/bundled"], ["xyz"]],
    ids=lambda words: " ".join(words),
)
def test_a_reader_that_leaves_early_is_no_error(words: list[str], unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "trackmaster", *words],
            cwd=Path(__file__).resolve().parent.parent,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    if words == ["xyz"]:  # nothing is printed to the pipe: the mistake is still told
        assert (done.returncode, "is not a verb" in done.stderr) == (2, True)
    else:
        assert (done.returncode, done.stderr) == (0, "")


def test_a_broken_pipe_to_another_process_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class FakeConfig:
        @classmethod
        def load(cls, argv: list[str], *, prog: str) -> "FakeConfig":
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(cli, "_load", {"c": FakeConfig}.__getitem__)
    monkeypatch.setitem(cli.VERBS, "fake", cli.Verb("", "c", "f"))
    assert cli.main(["fake"]) == 1
    assert "trackmaster fake: broken pipe" in capfd.readouterr().err


def test_an_output_that_is_no_file_does_not_hide_a_broken_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> int:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(BrokenPipeError):
        cli._until_reader_leaves(broken)


def test_an_output_that_cannot_be_written_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "file"
    taken.write_text("x")
    assert cli.main(["demo", "--output", str(taken / "inside")]) == 1
    assert "trackmaster demo: " in capsys.readouterr().err
