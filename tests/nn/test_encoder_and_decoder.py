"""The encoder is the agent's picture head, and what is done to its weights is exact."""

import pytest
import torch

from trackmaster.nn.decoder import FrameDecoder, GaussianHead, ProjectionHead, require_decodable
from trackmaster.nn.encoder import ShapeError, arch_hash, build_encoder, channels_last, encoder_dim
from trackmaster.nn.encoder_weights import reduce_input_channels, rescale_input, unit_range_to_agent
from trackmaster.nn.iqn import IQNNetwork


@pytest.mark.parametrize(("channels", "expected"), [(1, "15736da0a73bded6"), (4, "8ac7ec0849f329e6")])
def test_architecture_hash_is_the_published_one(channels: int, expected: str) -> None:
    assert arch_hash(build_encoder(channels).state_dict()) == expected


@pytest.mark.parametrize(("height", "width", "features"), [(64, 64, 512), (128, 128, 4608), (120, 160, 5632)])
def test_features_have_the_published_sizes(height: int, width: int, features: int) -> None:
    assert encoder_dim(height, width) == features
    assert build_encoder()(torch.zeros(2, 1, height, width)).shape == (2, features)


def test_encoder_is_the_agents_picture_head() -> None:
    head = IQNNetwork(64, 64).img_head
    state = build_encoder(generator=torch.Generator().manual_seed(1)).state_dict()
    assert list(state) == list(head.state_dict())
    head.load_state_dict(state)
    picture = torch.randn(3, 1, 64, 64)
    encoder = build_encoder()
    encoder.load_state_dict(state)
    # The two hold their pictures in different memory orders, so sums are rounded in a different order.
    torch.testing.assert_close(head(picture), encoder(picture), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 4])
def test_activations_keep_the_layout_of_the_pictures(channels: int) -> None:
    pictures = torch.randn(3, channels, 64, 64)
    laid_out = channels_last(pictures)
    assert torch.equal(laid_out, pictures)
    assert laid_out.stride() == (channels * 64 * 64, 1, channels * 64, channels)
    assert build_encoder(channels)[0](laid_out).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels", [1, 4])
def test_agent_and_encoder_start_alike_from_one_seed(channels: int) -> None:
    state = build_encoder(channels, generator=torch.Generator().manual_seed(2)).state_dict()
    head = IQNNetwork(64, 64, n_frames=channels, generator=torch.Generator().manual_seed(2)).img_head
    assert [str(layer) for layer in head] == [str(layer) for layer in build_encoder(channels)]
    assert all(torch.equal(value, state[key]) for key, value in head.state_dict().items())
    assert all(
        layer.weight.is_contiguous(memory_format=torch.channels_last) for layer in head if hasattr(layer, "weight")
    )


def test_weights_come_from_the_generator() -> None:
    first, second = (build_encoder(generator=torch.Generator().manual_seed(5)).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="0 input channels"):
        build_encoder(0)
    with pytest.raises(ShapeError, match="20x20"):
        encoder_dim(20, 20)
    with pytest.raises(ShapeError, match="84x84"):
        FrameDecoder(512, 1, 84, 84)
    with pytest.raises(ShapeError, match="64x40"):
        require_decodable(40, 64)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 128), (256, 256), (112, 160)])
def test_decoder_draws_the_size_it_was_made_for(height: int, width: int) -> None:
    torch.manual_seed(0)
    pictures = FrameDecoder(20, 3, height, width)(torch.randn(2, 20))
    assert pictures.shape == (2, 3, height, width)
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    unbounded = FrameDecoder(20, 1, height, width, bounded=False)(1000 * torch.randn(2, 20))
    assert unbounded.abs().max() > 1


def test_heads_have_the_shapes_of_their_task() -> None:
    mean, log_variance = GaussianHead(512, 7)(torch.randn(4, 512))
    assert mean.shape == log_variance.shape == (4, 7)
    assert ProjectionHead(512, 9)(torch.randn(4, 512)).shape == (4, 9)


def test_kernels_of_stacked_frames_are_reduced_as_asked() -> None:
    weight = torch.zeros(16, 3, 4, 4)
    for channel, value in enumerate((1.0, 2.0, 6.0)):
        weight[:, channel] = value
    state = {**build_encoder(3).state_dict(), "0.weight": weight}
    for how, value in (("mean", 3.0), ("sum", 9.0), ("last", 6.0)):
        reduced = reduce_input_channels(state, how)  # type: ignore[arg-type]
        assert reduced["0.weight"].shape == (16, 1, 4, 4)
        assert torch.all(reduced["0.weight"] == value)
        assert torch.equal(reduced["0.bias"], state["0.bias"])
        assert torch.equal(reduced["6.weight"], state["6.weight"])
    with pytest.raises(ShapeError, match="four dimensions"):
        reduce_input_channels({"0.weight": torch.zeros(3, 3)}, "mean")


def test_summed_kernels_answer_equal_frames_as_before() -> None:
    stacked, single = build_encoder(4), build_encoder()
    single.load_state_dict(reduce_input_channels(stacked.state_dict(), "sum"))
    frame = torch.rand(2, 1, 64, 64)
    assert torch.allclose(stacked(frame.expand(2, 4, 64, 64)), single(frame), atol=1e-5)


def test_change_of_pixel_scale_is_exact() -> None:
    encoder, converted = build_encoder(), build_encoder()
    for bias in (layer.bias for layer in encoder if isinstance(layer, torch.nn.Conv2d)):
        torch.nn.init.normal_(bias)
    converted.load_state_dict(unit_range_to_agent(encoder.state_dict()))
    pixels = torch.randint(0, 256, (4, 1, 64, 64)).float()
    assert torch.allclose(encoder(pixels / 255), converted((pixels - 128) / 128), atol=1e-5)
    shifted = build_encoder()
    shifted.load_state_dict(rescale_input(encoder.state_dict(), scale=2.0, shift=-0.25))
    assert torch.allclose(encoder(2 * pixels / 255 - 0.25), shifted(pixels / 255), atol=1e-5)
