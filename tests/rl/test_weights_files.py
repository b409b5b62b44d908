"""Weights files are told apart by their content, and a bad one is refused with a sentence."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trackmaster.nn.weights import WeightsError
from trackmaster.rl.files.weights_files import (
    TorchJSONDecoder,
    TorchJSONEncoder,
    read_weights,
    write_json_weights,
    write_weights,
)

OWN = {
    "layer.weight": torch.arange(6.0).reshape(2, 3) / 7,
    "half": torch.tensor([0.1, 2.5], dtype=torch.float16),
    "steps": torch.tensor(1234567, dtype=torch.int64),
    "mask": torch.tensor([True, False]),
    "temperature": torch.tensor(0.1),
    "none": torch.zeros((0, 3)),
}


def same(found: dict[str, torch.Tensor]) -> None:
    assert found.keys() == OWN.keys()
    for name, tensor in OWN.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("write", [write_weights, write_json_weights, lambda p, t: torch.save(dict(t), p)])
def test_three_forms_read_back_exactly(tmp_path: Path, write) -> None:
    path = tmp_path / "run.tmod"
    write(path, OWN)
    same(read_weights(path, like=OWN))


def test_a_header_of_123_or_128_bytes_is_still_safetensors(tmp_path: Path) -> None:
    for length in (123, 128):  # their first bytes are those of JSON and of a pickle
        header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode().ljust(length)
        path = tmp_path / f"{length}.tmod"
        path.write_bytes(length.to_bytes(8, "little") + header + b"\0\0\x80\x3f")
        assert read_weights(path, like={}) == {"a": torch.tensor([1.0])}


def test_pickles_are_never_read(tmp_path: Path) -> None:
    class Armed:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "bad.tmod"
    for protocol in (2, 5):
        path.write_bytes(pickle.dumps(Armed(), protocol=protocol))
        with pytest.raises(WeightsError, match="this is a pickle"):
            read_weights(path, like=OWN)
    torch.save({"w": Armed()}, path)
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        read_weights(path, like=OWN)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("half"), "half is missing"),
        (lambda c: c.update(extra=[1]), "extra is not part of the network"),
        (lambda c: c.update(mask=[1, 0, 1]), r"mask has shape \(3,\), expected \(2,\)"),
        (lambda c: c.update(steps=1.5), "steps holds values that are no int64"),
        (lambda c: c.update(half=[1e9, 0]), "half holds values that are not finite"),
        (lambda c: c.update(temperature="warm"), "temperature"),
        (lambda c: c.update(temperature=float("nan")), "NaN stands where a number is expected"),
    ],
)
def test_json_that_does_not_fit_is_refused(tmp_path: Path, change, message: str) -> None:
    path = tmp_path / "run.tmod"
    content = json.loads(json.dumps(OWN, cls=TorchJSONEncoder))
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=message):
        read_weights(path, like=OWN)


def test_json_with_a_key_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.tmod"
    path.write_text('{"a": [1], "a": [2]}')
    with pytest.raises(WeightsError, match="a stands twice"):
        read_weights(path, like={"a": torch.zeros(1)})


def test_values_that_json_cannot_spell_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"\bw hold values that are not finite"):
        write_json_weights(tmp_path / "run.tmod", {"v": torch.ones(1), "w": torch.tensor([float("nan")])})
    assert list(tmp_path.iterdir()) == []


def test_the_seeds_decoder_gives_float_tensors() -> None:
    read = json.loads('{"a": [[1, 2]], "b": 3.5}', cls=TorchJSONDecoder)
    assert torch.equal(read["a"], torch.Tensor([[1, 2]]))
    assert read["b"] == 3.5


HEADS = [b"", b"{", b"PK\x03\x04", b"\x80\x04", b"\x20" + bytes(7) + b"{"]


@given(
    junk=st.binary(max_size=200),
    head=st.sampled_from(HEADS),
)
def test_junk_ends_in_a_sentence(tmp_path_factory: pytest.TempPathFactory, junk: bytes, head: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.tmod"
    path.write_bytes(head + junk)
    with pytest.raises(WeightsError, match=r"junk\.tmod"):
        read_weights(path, like=OWN)


def test_missing_and_huge_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        read_weights(tmp_path / "no.tmod", like={})
    write_weights(tmp_path / "run.tmod", OWN)
    monkeypatch.setattr("trackmaster.rl.files.weights_files.MAX_BYTES", 10)
    with pytest.raises(WeightsError, match="expected at most 10"):
        read_weights(tmp_path / "run.tmod", like=OWN)
