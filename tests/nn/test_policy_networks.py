"""Networks of the continuous agents: sizes of the reference, widths from the spaces, a density that stays finite."""

import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from trackmaster.nn.critics import CriticList, MLPCritics
from trackmaster.nn.encoder import ShapeError, build_encoder
from trackmaster.nn.gaussian_policy import SquashedGaussianActor, gaussian_log_prob, squashed_log_prob, tanh_log_det
from trackmaster.nn.observation_layout import (
    ObservationLayout,
    analog_action_space,
    batched,
    full_observation_space,
)
from trackmaster.nn.policy_networks import PolicyNetworks
from trackmaster.nn.recurrent import STATE_SIZE, CNNLSTMActor, pack_state, unpack_state
from trackmaster.nn.trunks import MLP, EncoderCNN, VanillaCNN, VisionTransformerActor

ANALOG = analog_action_space()


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def lidar_space(history: int, *, progress: bool = False) -> gym.spaces.Tuple:
    numbers = [gym.spaces.Box(0, 1000, (1,)), *([gym.spaces.Box(0, 1, (1,))] if progress else [])]
    return gym.spaces.Tuple((*numbers, gym.spaces.Box(0, np.inf, (4, 19)), *[ANALOG] * history))


def draw(space: gym.Space, n: int = 3):
    return batched(_stack([space.sample() for _ in range(n)]))


def _stack(samples):
    if isinstance(samples[0], tuple):
        return tuple(np.stack(parts) for parts in zip(*samples, strict=True))
    return {key: np.stack([s[key] for s in samples]) for key in samples[0]}


@pytest.mark.parametrize(("history", "actor", "transformer", "recurrent"), [
    (2, 578_182, 4_954_880, 8_860_320), (4, 579_718, 4_956_416, 8_861_856),
])  # fmt: skip
def test_parameter_counts_are_those_of_the_reference(
    history: int, actor: int, transformer: int, recurrent: int
) -> None:
    space = full_observation_space(history)
    trunk = VanillaCNN(observation_space=space)
    convolutions = sum(count(layer) for layer in (trunk.conv1, trunk.conv2, trunk.conv3, trunk.conv4))
    assert (convolutions, trunk.flat_features) == (475_520, 128)
    assert count(SquashedGaussianActor(trunk, ANALOG)) == actor
    assert count(VisionTransformerActor(observation_space=space)) == transformer
    lstm = CNNLSTMActor(space)
    assert (count(lstm.lstm), lstm.lstm.input_size, count(lstm)) == (8_720_384, 7_744, recurrent)


@pytest.mark.parametrize(("side", "features"), [(64, 128), (84, 1_152), (96, 1_152), (128, 3_200)])
def test_cnn_sizes_follow_from_the_picture(side: int, features: int) -> None:
    assert VanillaCNN(observation_space=full_observation_space(side=side)).flat_features == features


def test_a_picture_below_50_pixels_is_refused() -> None:
    assert VanillaCNN(observation_space=full_observation_space(side=50)).flat_features == 128
    with pytest.raises(ShapeError, match="at least 50x50"):
        VanillaCNN(observation_space=full_observation_space(side=49))


@pytest.mark.parametrize(("history", "progress", "width"), [(2, False, 83), (2, True, 84), (4, False, 89)])
def test_mlp_widths_are_those_of_the_lidar_environments(history: int, progress: bool, width: int) -> None:
    network = MLP(lidar_space(history, progress=progress))
    assert network.layout.n_floats == width
    assert count(network) == width * 256 + 256 + 256 * 256 + 256


def test_a_critic_takes_in_the_action_behind_everything_else() -> None:
    space = full_observation_space(2)
    assert VanillaCNN(True, observation_space=space).mlp[0].in_features == 128 + 9 + 3
    network = VanillaCNN(True, observation_space=space)
    network.mlp[0].weight.data[:, -3:] = 0
    observation = draw(space)
    with torch.no_grad():
        first = network(observation, torch.zeros(3, 3))
        assert torch.equal(first, network(observation, torch.ones(3, 3)))


def test_numbers_keep_their_place_around_the_picture() -> None:
    space = full_observation_space(2)
    network = VanillaCNN(observation_space=space)
    seen: list[torch.Tensor] = []
    network.mlp[0].register_forward_hook(lambda module, args, output: seen.append(args[0]))
    observation = draw(space)
    network(observation)
    row = seen[0]
    assert torch.equal(row[:, :3], torch.cat(observation[:3], dim=1))
    assert torch.equal(row[:, 3 + 128 :], torch.cat(observation[4:], dim=1))


def test_tmrl_activation_leaves_out_the_last_relu_only() -> None:
    ours, theirs = VanillaCNN(), VanillaCNN(trunk_activation="tmrl")
    theirs.load_state_dict(ours.state_dict())
    observation = draw(full_observation_space())
    with torch.no_grad():
        assert torch.equal(torch.relu(theirs(observation)), ours(observation))
        assert (theirs(observation) < 0).any()


def test_bytes_and_scaled_floats_of_a_picture_give_the_same() -> None:
    network = VanillaCNN()
    observation = draw(full_observation_space())
    scaled = (*observation[:3], observation[3].float() / 255, *observation[4:])
    with torch.no_grad():
        assert torch.equal(network(observation), network(scaled))


def test_actor_and_critic_may_see_different_entries() -> None:
    space = gym.spaces.Dict({
        "image": gym.spaces.Box(0, 255, (4, 64, 64), np.uint8), "floats": gym.spaces.Box(-1, 1, (15,)),
    })  # fmt: skip
    assert ObservationLayout(space, ("floats",)).images == ()
    critic = MLPCritics(space, ANALOG, 2, keys=("floats",))
    assert critic(draw(space), torch.zeros(3, 3)).shape == (2, 3)
    with pytest.raises(ShapeError, match="no entry lidar"):
        ObservationLayout(space, ("lidar",))


def test_the_small_network_is_the_pretrained_encoder_beside_numbers() -> None:
    space = gym.spaces.Dict({
        "image": gym.spaces.Box(0, 255, (4, 64, 64), np.uint8), "floats": gym.spaces.Box(-1, 1, (15,)),
    })  # fmt: skip
    network = PolicyNetworks(network="encoder").trunk(space, None, None)
    assert isinstance(network, EncoderCNN)
    encoder = build_encoder(4)
    network.img_head.load_state_dict(encoder.state_dict())
    seen: list[torch.Tensor] = []
    network.mlp[0].register_forward_hook(lambda module, args, output: seen.append(args[0]))
    observation = draw(space)
    assert network(observation).shape == (3, 256)
    pixels = encoder(observation["image"].float() / 255)
    for part in (observation["floats"], pixels):
        places = seen[0].unfold(1, part.shape[1], 1)
        assert bool(torch.isclose(places, part[:, None], atol=1e-5).all(dim=2).any(dim=1).all())
    critics = PolicyNetworks(network="encoder").critics(space, ANALOG, 2)
    assert critics(draw(space), torch.zeros(3, 3)).shape == (2, 3)
    small = EncoderCNN(gym.spaces.Dict({"image": gym.spaces.Box(0, 255, (1, 36, 36), np.uint8)}))
    assert small.mlp[0].in_features == 32
    with pytest.raises(ShapeError, match="at least 36x36"):
        EncoderCNN(gym.spaces.Dict({"image": gym.spaces.Box(0, 255, (1, 33, 33), np.uint8)}))


def test_the_mlp_refuses_pictures_and_the_transformer_foreign_sizes() -> None:
    with pytest.raises(ShapeError, match="VanillaCNN"):
        MLP(full_observation_space())
    with pytest.raises(ShapeError, match="multiple of the patch"):
        VisionTransformerActor(img_size=64, observation_space=full_observation_space(side=96))


def test_batched_critics_equal_the_same_networks_one_by_one() -> None:
    space = gym.spaces.Box(-1, 1, (7,))
    critics = MLPCritics(space, ANALOG, 3, hidden_sizes=(5, 4), layer_norm=True)
    observation, action = torch.randn(6, 7), torch.randn(6, 3)
    values = critics(observation, action)
    for k in range(3):
        x = torch.cat((observation, action), dim=1)
        for layer in range(3):
            x = x @ critics.weights[layer][k] + critics.biases[layer][k]
            if layer < 2:
                x = nn.functional.layer_norm(x, x.shape[-1:]).relu()
        assert torch.allclose(values[k], x[:, 0], atol=1e-6)


def test_a_list_of_critics_judges_pictures_with_different_weights() -> None:
    space = full_observation_space(1)
    critics = CriticList(lambda: VanillaCNN(True, observation_space=space), 2)
    values = critics(draw(space), torch.zeros(3, 3))
    assert values.shape == (2, 3)
    assert not torch.allclose(values[0], values[1])


def test_log_density_of_a_squashed_draw_is_the_change_of_variables() -> None:
    u, mean, log_std = torch.tensor([[0.3, -1.2]]), torch.tensor([[0.1, 0.4]]), torch.tensor([[-0.5, 0.2]])
    normal = torch.distributions.Normal(mean, log_std.exp())
    expected = normal.log_prob(u).sum() - torch.log(1 - torch.tanh(u) ** 2).sum()
    assert float(squashed_log_prob(u, mean, log_std)) == pytest.approx(float(expected), abs=1e-6)
    assert float(gaussian_log_prob(u, mean, log_std)) == pytest.approx(float(normal.log_prob(u).sum()), abs=1e-6)


@given(st.floats(-9.0, 9.0))
def test_log_determinant_agrees_with_the_textbook_form_in_double_precision(u: float) -> None:
    exact = math.log1p(-(math.tanh(u) ** 2))
    assert float(tanh_log_det(torch.tensor([[u]], dtype=torch.float64))) == pytest.approx(exact, abs=3e-7)


def test_log_density_stays_finite_where_tanh_is_one() -> None:
    u = torch.tensor([[40.0, -40.0]], requires_grad=True)
    value = squashed_log_prob(u, torch.zeros(1, 2), torch.zeros(1, 2))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(u.grad).all()


def test_density_of_drawn_actions_integrates_to_one() -> None:
    actor = SquashedGaussianActor(MLP(gym.spaces.Box(-1, 1, (2,))), gym.spaces.Box(-2.0, 4.0, (1,)))
    observation = torch.zeros(1, 2)
    grid = torch.linspace(-1.999, 3.999, 20_001)[:, None]
    with torch.no_grad():
        mean, log_std = actor.distribution(observation)
        draws = actor.unsquash(grid)
        density = (squashed_log_prob(draws, mean, log_std) - torch.log(actor.half_width).sum()).exp()
    assert float(torch.trapezoid(density, grid[:, 0])) == pytest.approx(1.0, abs=2e-3)
    assert torch.allclose(actor.squash(draws), grid, atol=1e-4)


def test_recurrent_state_equals_having_seen_the_frames_before() -> None:
    space = gym.spaces.Dict({
        "floats": gym.spaces.Box(-1, 1, (2,)), "image": gym.spaces.Box(0, 255, (1, 64, 64), np.uint8),
    })  # fmt: skip
    actor = SquashedGaussianActor(CNNLSTMActor(space), ANALOG).eval()
    frames = [draw(space, 2) for _ in range(3)]
    with torch.no_grad():
        state = torch.zeros(2, STATE_SIZE)
        for frame in frames:
            mean, _, state = actor.distribution_and_state({**frame, "hidden": state})
        stacked = torch.cat([frame["image"] for frame in frames], dim=1)
        features, hidden = actor.net({**frames[-1], "image": stacked})
    assert torch.allclose(mean, actor.mu_layer(features), atol=1e-5)
    assert torch.allclose(state, pack_state(hidden), atol=1e-5)
    assert torch.equal(pack_state(unpack_state(state)), state)


def test_coloured_pictures_are_channels_one_after_the_other() -> None:
    space = gym.spaces.Tuple((gym.spaces.Box(0, 1000, (1,)), gym.spaces.Box(0, 255, (4, 64, 64, 3), np.uint8)))
    observation = draw(space)
    layout = ObservationLayout(space)
    assert (layout.image_shape(), layout.colours, layout.n_floats) == ((12, 64, 64), 3, 1)
    image = layout.split(observation)[1]
    assert image is not None
    for frame, colour in ((0, 0), (1, 2), (3, 1)):
        assert torch.equal(image[:, 3 * frame + colour], observation[1][:, frame, :, :, colour])
    for trunk in (VanillaCNN(observation_space=space), VisionTransformerActor(in_channels=12, observation_space=space)):
        assert trunk(observation).shape == (3, 256)
    lstm = CNNLSTMActor(space)
    with torch.no_grad():
        whole, after = lstm(observation)
        first, between = lstm((observation[0], observation[1][:, :2]))
        last, end = lstm((observation[0], observation[1][:, 2:]), between)
    assert torch.allclose(whole, last, atol=1e-5)
    assert torch.allclose(after[0], end[0], atol=1e-5)
    assert not torch.allclose(whole, first, atol=1e-3)


def test_pictures_with_their_channels_last_are_named() -> None:
    space = gym.spaces.Tuple((gym.spaces.Box(0, 255, (64, 64, 4), np.uint8),))
    with pytest.raises(ShapeError, match=r"channels last: networks take the stack first, \(4, 64, 64\)"):
        VanillaCNN(observation_space=space)
    with pytest.raises(ShapeError, match=r"\(4, 64, 64, 2\) fits no network"):
        ObservationLayout(gym.spaces.Box(0, 255, (4, 64, 64, 2), np.uint8))


def test_an_unbounded_action_space_is_refused() -> None:
    with pytest.raises(ShapeError, match="no bounds"):
        SquashedGaussianActor(MLP(gym.spaces.Box(-1, 1, (2,))), gym.spaces.Box(-np.inf, np.inf, (1,)))
    with pytest.raises(ShapeError, match="analog"):
        SquashedGaussianActor(MLP(gym.spaces.Box(-1, 1, (2,))), gym.spaces.Discrete(3))


def test_fresh_weights_can_begin_at_a_chosen_action() -> None:
    actor = SquashedGaussianActor(MLP(gym.spaces.Box(-1, 1, (2,))), ANALOG)
    actor.begin_at(torch.tensor([0.8, -0.8, 0.0]), 0.5)
    with torch.no_grad():
        mean, log_std = actor.distribution(torch.zeros(1, 2))
    assert torch.allclose(actor.squash(mean), torch.tensor([[0.8, -0.8, 0.0]]), atol=0.15)
    assert torch.allclose(log_std.exp(), torch.full((1, 3), 0.5), atol=0.1)
