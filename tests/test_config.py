"""Where a setting comes from, and what happens to a typo."""

from pathlib import Path

import pytest
from pydantic import AliasChoices, Field
from pydantic_settings import CliToggleFlag, SettingsConfigDict

from trackmaster.config import Section, Settings
from trackmaster.errors import ConfigError


class Inner(Section):
    depth: int = 3
    """How deep."""


class Toy(Settings):
    """A toy."""

    model_config = SettingsConfigDict(env_prefix="TOY_")
    foreign_env_prefixes = ("TOY_OTHER_",)

    batch_size: int = Field(default=1, ge=1)
    """Samples per step."""
    use_tqdm: bool = True
    """Draw a bar."""
    no_tqdm: CliToggleFlag[bool] = False
    """The same as use_tqdm=False."""
    name: str | None = None
    """A name."""
    inner: Inner = Inner()
    """The inner part."""


class Mute(Settings):
    batch_size: int = 1


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text("batch_size: 2\ninner:\n  depth: 20\n", encoding="utf-8")
    return path


def test_flags_beat_environment_beat_yaml_beat_defaults(yaml_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Toy.load().batch_size == 1
    assert Toy.load(config=yaml_file).batch_size == 2
    monkeypatch.setenv("TOY_BATCH_SIZE", "3")
    monkeypatch.setenv("TOY_INNER__DEPTH", "30")
    assert Toy.load(config=yaml_file).batch_size == 3
    found = Toy.load(["--batch-size", "4", "--config", str(yaml_file), "--no-tqdm"])
    assert (found.batch_size, found.inner.depth, found.no_tqdm) == (4, 30, True)


def test_a_flag_of_a_section_leaves_its_other_fields(yaml_file: Path) -> None:
    assert Toy.load(["--inner.depth", "7"], config=yaml_file) == Toy(batch_size=2, inner=Inner(depth=7))


def test_default_yaml_is_read_only_without_config(
    tmp_path: Path, yaml_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WithFile(Toy):
        default_yaml = ("missing.yaml", "toy.yaml")

    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other.yaml"
    other.write_text("name: x\n", encoding="utf-8")
    assert WithFile.load().batch_size == 2
    assert WithFile.load(config=other).batch_size == 1


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--batch-sise", "3"], "--batch-size"),
        (["--batch-size", "zero"], "'batch_size'"),
        (["--batch-size", "0"], "found '0'"),
        (["--config", "nowhere.yaml"], "there is no such file"),
        (["--config"], "needs the path"),
        (["--use-tqdm", "false"], "turned off with --no-NAME"),
    ],
)
def test_wrong_flags_are_sentences(argv: list[str], expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        Toy.load(argv, prog="toy")
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("batch_sise: 3\n", "Did you mean 'batch_size'?"),
        ("inner:\n  dept: 1\n", "'inner.dept' is not a setting of Toy. Did you mean 'depth'?"),
        ("batch_size: -1\n", "found -1"),
        ("- 1\n", "expected 'key: value' lines"),
        ("a: [1\n", "not valid YAML"),
        ("batch_size: 1\nbatch_size: 2\n", "the key 'batch_size' stands twice"),
        ("batch_size: 1\nBATCH_SIZE: -1\n", "'BATCH_SIZE' is not a setting of Toy"),
        ("no: 2\n", "the key 'no' means False in YAML"),
        ("1: 2\n", "the key '1' means 1 in YAML"),
        ("? [a]\n: 2\n", "the key a list or mapping means"),
        ("inner: {on: 2}\n", "the key 'on' means True in YAML"),
        ("batch_size: 2026-02-30\n", "Put it in quotes"),
        ("batch_size: !!bool maybe\n", "Put it in quotes"),
        ("name: " + "[" * 3000, "nested too deeply"),
    ],
)
def test_wrong_yaml_is_a_sentence_that_names_the_file(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        Toy.load(config=path)
    assert expected in str(error.value)
    assert "bad.yaml" in str(error.value)


@pytest.mark.parametrize("name", ["TOY_BATCH_SISE", "TOY_XYZ", "TOY_INNER__DEEP", "TYO_BATCH_SIZE"])
def test_misspelt_environment_variables_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Toy.load(environment={name: "1"})


def test_variables_of_others_are_left_alone() -> None:
    assert Toy.load(environment={"TOY_OTHER_BATCH_SIZE": "1", "HOME": "/", "TOYS": "2"}).batch_size == 1


@pytest.mark.parametrize("name", ["TRAIN_RUN_NAME", "PRETRAIN_USE_TQDM", "CAPTURE_ANYTHING"])
def test_variables_of_other_verbs_are_left_to_them(name: str) -> None:
    class Pretend(Settings):
        model_config = SettingsConfigDict(env_prefix="RETRAIN_")
        run_name: str = ""
        use_tqdm: bool = True

    assert Pretend.load(environment={name: "x"}) == Pretend()


def test_a_variable_that_must_hold_a_list_says_how() -> None:
    class Listed(Toy):
        tracks: tuple[str, ...] = ()

    assert Listed.load(environment={"TOY_TRACKS": '["a"]'}).tracks == ("a",)
    with pytest.raises(ConfigError, match="TOY_TRACKS holds no JSON"):
        Listed.load(environment={"TOY_TRACKS": "a,b"})


def test_other_names_of_a_field_are_known_to_every_source(tmp_path: Path) -> None:
    class Renamed(Settings):
        model_config = SettingsConfigDict(env_prefix="RENAMED_")
        json_file: str = Field(default="", validation_alias=AliasChoices("json", "json_file"))

    path = tmp_path / "renamed.yaml"
    path.write_text("json: a\n", encoding="utf-8")
    assert Renamed.load(config=path).json_file == "a"
    assert Renamed.load(environment={"RENAMED_JSON": "b", "JSON": "c"}).json_file == "b"
    assert Renamed.load(environment={"RENAMED_JSON_FILE": "b"}).json_file == "b"


def test_settings_made_in_code_do_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_BATCH_SIZE", "9")
    assert Toy().batch_size == 1
    assert Toy.load().batch_size == 9
    assert Toy.load(environment={}).batch_size == 1
    assert Toy.load(environment={"TOY_BATCH_SIZE": "4"}).batch_size == 4


def test_without_a_prefix_the_environment_is_mute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_SIZE", "5")
    assert Mute.load().batch_size == 1


def test_resolved_configuration_reads_back(tmp_path: Path) -> None:
    first = Toy.load(["--batch-size", "9", "--inner.depth", "1"])
    path = tmp_path / "resolved.yaml"
    path.write_text(first.to_yaml(), encoding="utf-8")
    assert Toy.load(config=path) == first


def test_help_is_printed_from_the_field_docstrings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        Toy.load(["--help"], prog="toy")
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "Samples per step." in out
    assert "--config FILE" in out
    assert "TOY_NAME for --name, TOY_SECTION__NAME for --section.name" in out
