"""The quantile network: interchange with Linesight's state dicts and agreement with a plain reimplementation."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trackmaster.nn.encoder import ShapeError
from trackmaster.nn.iqn import IQNNetwork, fixed_tau, stratified_tau
from trackmaster.nn.weights import WeightsError, change_normalisation, load_strict, plain_state, strip_prefixes

SHAPES_64 = {
    "img_head.0.weight": (16, 1, 4, 4), "img_head.0.bias": (16,),
    "img_head.2.weight": (32, 16, 4, 4), "img_head.2.bias": (32,),
    "img_head.4.weight": (64, 32, 3, 3), "img_head.4.bias": (64,),
    "img_head.6.weight": (32, 64, 3, 3), "img_head.6.bias": (32,),
    "float_feature_extractor.0.weight": (256, 184), "float_feature_extractor.0.bias": (256,),
    "float_feature_extractor.2.weight": (256, 256), "float_feature_extractor.2.bias": (256,),
    "A_head.0.weight": (512, 768), "A_head.0.bias": (512,),
    "A_head.2.weight": (12, 512), "A_head.2.bias": (12,),
    "V_head.0.weight": (512, 768), "V_head.0.bias": (512,),
    "V_head.2.weight": (1, 512), "V_head.2.bias": (1,),
    "iqn_fc.0.weight": (768, 128), "iqn_fc.0.bias": (768,),
}  # fmt: skip


def small(**changes: object) -> IQNNetwork:
    options = {
        "n_floats": 6, "float_hidden_dim": 8, "dense_hidden_dimension": 16, "float_mean": np.arange(6.0),
        "float_std": np.full(6, 2.0), "generator": torch.Generator().manual_seed(0),
    }  # fmt: skip
    return IQNNetwork(36, 36, 4, **{**options, **changes})


def inputs(batch: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (batch, 1, 36, 36), dtype=torch.uint8, generator=generator)
    return image, torch.randn((batch, 6), generator=generator)


def test_state_dict_has_linesights_keys_in_order_and_shapes() -> None:
    state = IQNNetwork(64, 64, 128).state_dict()
    assert [(key, tuple(value.shape)) for key, value in state.items()] == list(SHAPES_64.items())


@pytest.mark.parametrize(("height", "width", "embedding", "count"), [
    (64, 64, 128, 1_051_805), (120, 160, 64, 6_578_333), (64, 64, 64, 1_002_653), (128, 128, 128, 5_774_493),
])  # fmt: skip
def test_parameter_counts_are_the_published_ones(height: int, width: int, embedding: int, count: int) -> None:
    assert sum(p.numel() for p in IQNNetwork(height, width, embedding).parameters()) == count


def reference_forward(
    network: IQNNetwork, image: torch.Tensor, floats: torch.Tensor, tau: torch.Tensor
) -> torch.Tensor:
    """Loop over samples and quantiles with nothing but the state dict."""
    s = network.state_dict()

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ s[f"{name}.weight"].T + s[f"{name}.bias"]

    rows = torch.zeros((len(tau), network.n_actions))
    for row, fraction in enumerate(tau[:, 0]):
        b = row % len(image)
        x = (image[b : b + 1].float() - 128) / 128
        for stage, stride in ((0, 2), (2, 2), (4, 2), (6, 1)):
            x = F.leaky_relu(F.conv2d(x, s[f"img_head.{stage}.weight"], s[f"img_head.{stage}.bias"], stride), 0.01)
        f = (floats[b] - network.float_mean) / network.float_std
        for layer in (0, 2):
            f = F.leaky_relu(linear(f, f"float_feature_extractor.{layer}"), 0.01)
        features = torch.cat((x.flatten(), f))
        cosines = torch.stack([torch.cos(math.pi * i * fraction) for i in range(1, network.embedding_dim + 1)])
        mixed = features * F.leaky_relu(linear(cosines, "iqn_fc.0"), 0.01)
        a, v = (linear(F.leaky_relu(linear(mixed, f"{h}.0"), 0.01), f"{h}.2") for h in ("A_head", "V_head"))
        rows[row] = v + a - a.mean()
    return rows


def test_forward_equals_a_plain_reimplementation() -> None:
    network, (image, floats) = small(), inputs()
    tau = stratified_tau(5, 4, generator=torch.Generator().manual_seed(2))
    quantiles, same_tau = network(image, floats, tau)
    assert same_tau is tau
    torch.testing.assert_close(quantiles, reference_forward(network, image, floats, tau), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("height", "width", "embedding"), [(64, 64, 128), (120, 160, 64)])
def test_forward_equals_a_plain_reimplementation_at_the_published_sizes(
    height: int, width: int, embedding: int
) -> None:
    network = IQNNetwork(height, width, embedding, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (2, 1, height, width), dtype=torch.uint8, generator=generator)
    floats = network.float_mean + network.float_std * torch.randn((2, 184), generator=generator)
    tau = torch.tensor([[0.1], [0.5], [0.9], [0.25]])
    with torch.no_grad():
        quantiles, _ = network(image, floats, tau)
        torch.testing.assert_close(quantiles, reference_forward(network, image, floats, tau), atol=1e-5, rtol=1e-5)


def test_uint8_pictures_and_normalised_pictures_agree() -> None:
    network, (image, floats) = small(), inputs()
    tau = fixed_tau(2).repeat_interleave(5)[:, None]
    torch.testing.assert_close(network(image, floats, tau)[0], network((image.float() - 128) / 128, floats, tau)[0])


def test_mean_over_the_grid_equals_the_mean_of_the_quantiles() -> None:
    network, (image, floats) = small(), inputs()
    grid = fixed_tau(8)
    quantiles, _ = network(image, floats, grid.repeat_interleave(5)[:, None])
    torch.testing.assert_close(
        network.mean_q(image, floats, grid), quantiles.view(8, 5, 12).mean(dim=0), atol=1e-6, rtol=1e-5
    )


def test_mean_advantage_ranks_actions_like_the_quantiles() -> None:
    network, (image, floats) = small(), inputs()
    tau = stratified_tau(5, 8, generator=torch.Generator().manual_seed(3))
    features = network.features(image, floats)
    mean_q = network.quantiles(features, tau).view(8, 5, 12).mean(dim=0)
    difference = mean_q - network.mean_advantage(features, tau)
    torch.testing.assert_close(difference, difference[:, :1].expand(-1, 12), atol=1e-5, rtol=1e-5)


def test_fractions_are_stratified_and_mirrored() -> None:
    tau = stratified_tau(3, 8, generator=torch.Generator().manual_seed(0)).view(8, 3)
    for k in range(4):
        assert ((tau[k] >= k / 8) & (tau[k] < (k + 1) / 8)).all()
    torch.testing.assert_close(tau[4:], 1 - tau[:4])
    with pytest.raises(ValueError, match="even"):
        stratified_tau(3, 7)


def test_initial_weights_are_orthogonal_with_the_reference_gains() -> None:
    network = small()
    gain = math.sqrt(2 / (1 + 0.01**2))
    for name, expected in (("float_feature_extractor.2", gain), ("iqn_fc.0", gain * math.sqrt(2)), ("A_head.2", 1.0)):
        singular = torch.linalg.svdvals(network.get_submodule(name).weight)
        torch.testing.assert_close(singular, torch.full_like(singular, expected), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("prefix", ["", "_orig_mod.", "module.", "module._orig_mod."])
def test_wrapped_weights_load(prefix: str) -> None:
    source, target = small(), small(generator=torch.Generator().manual_seed(9))
    load_strict(target, {prefix + k: v for k, v in source.state_dict().items()}, source="test")
    image, floats = inputs()
    torch.testing.assert_close(source.mean_q(image, floats, fixed_tau(4)), target.mean_q(image, floats, fixed_tau(4)))
    assert list(plain_state(target)) == list(source.state_dict())


def test_weights_of_another_size_are_refused_with_a_list_and_change_nothing() -> None:
    network, other = small(), small(dense_hidden_dimension=32)
    before = plain_state(network)
    state = plain_state(other)
    state["extra.weight"] = state.pop("iqn_fc.0.bias")
    with pytest.raises(
        WeightsError, match=r"A_head\.0\.weight has shape .* extra\.weight is not part .* iqn_fc\.0\.bias is missing"
    ):
        load_strict(network, state, source="other.torch")
    assert all(torch.equal(before[k], v) for k, v in plain_state(network).items())


def test_weights_with_nan_are_refused() -> None:
    state = plain_state(small())
    state["V_head.2.bias"][0] = float("nan")
    with pytest.raises(WeightsError, match="not finite"):
        load_strict(small(), state, source="bad.torch")


def test_ambiguous_prefixes_are_refused() -> None:
    with pytest.raises(WeightsError, match="twice"):
        strip_prefixes({"a": torch.zeros(1), "_orig_mod.a": torch.zeros(1)})


def test_changed_normalisation_computes_the_same() -> None:
    old = small()
    new_mean, new_std = np.linspace(-1, 1, 6), np.linspace(0.5, 3, 6)
    new = small(float_mean=new_mean, float_std=new_std)
    state = change_normalisation(
        plain_state(old), old_mean=old.float_mean, old_std=old.float_std,
        new_mean=torch.tensor(new_mean), new_std=torch.tensor(new_std),
    )  # fmt: skip
    load_strict(new, state, source="converted")
    image, floats = inputs()
    torch.testing.assert_close(
        old.mean_q(image, floats, fixed_tau(4)), new.mean_q(image, floats, fixed_tau(4)), atol=1e-5, rtol=1e-4
    )


def test_bad_normalisation_and_tiny_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        small(float_mean=np.zeros(5))
    with pytest.raises(ValueError, match="not positive"):
        small(float_std=np.zeros(6))
    with pytest.raises(ShapeError, match="16x16 are too small"):
        IQNNetwork(16, 16, 4)
    with pytest.raises(ShapeError, match="0 input channels"):
        small(n_frames=0)


def test_half_precision_around_it_leaves_the_choice_between_actions_exact() -> None:
    network = IQNNetwork(64, 64, 32, generator=torch.Generator().manual_seed(3)).eval()
    with torch.no_grad():
        network.A_head[2].weight *= 0.01  # actions differ by a hundredth, as trained ones do
        network.V_head[2].bias.fill_(-7.5)  # where bfloat16 has steps of 0.03
    generator = torch.Generator().manual_seed(4)
    image = torch.randint(0, 256, (64, 1, 64, 64), dtype=torch.uint8, generator=generator)
    floats = network.float_mean + network.float_std * torch.randn((64, 184), generator=generator)
    tau = fixed_tau(8).repeat_interleave(64)[:, None]
    with torch.no_grad():
        exact = network.mean_q(image, floats, fixed_tau(8))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            quantiles = network.quantiles(network.features(image, floats), tau)
            advantage = network.mean_advantage(network.features(image, floats), tau)
    assert quantiles.dtype == advantage.dtype == torch.float32
    near = exact.gather(1, advantage.argmax(1, keepdim=True)).squeeze(1)
    assert float((exact.max(dim=1).values - near).max()) < 0.002
    assert float((advantage.argmax(1) == exact.argmax(1)).float().mean()) > 0.9
    torch.testing.assert_close(quantiles.view(8, 64, 12).mean(dim=0), exact, atol=0.02, rtol=0.0)
