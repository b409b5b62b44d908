"""The environments: clock, ends, starts, and single = vector."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from trackmaster.env import (
    EndReason,
    EnvConfig,
    EnvError,
    RacingEnv,
    RacingVectorEnv,
    RewardConfig,
    Start,
    evaluation_starts,
    layout,
)
from trackmaster.track import Track

SMALL = EnvConfig(image_width=24, image_height=16)
BLIND = EnvConfig(images=False)
GO, COAST, BRAKE = 0, 3, 6


def finish(env: RacingEnv) -> tuple[list[float], dict]:
    env.reset()
    rewards = []
    while True:
        _, reward, terminated, truncated, info = env.step(GO)
        rewards.append(reward)
        assert not truncated
        if terminated:
            return rewards, info


def test_gymnasium_accepts_the_environment(straight: Track) -> None:
    env = RacingEnv(straight, SMALL, render_mode="rgb_array")
    check_env(env, skip_render_check=True)
    env.reset()
    assert env.render().shape == (16, 24, 3)
    env.close()


def test_the_image_and_floats_have_the_promised_form(straight: Track) -> None:
    env = RacingVectorEnv(straight, 3, EnvConfig())
    observation, info = env.reset()
    assert observation["image"].shape == (3, 1, 64, 64)
    assert observation["image"].dtype == np.uint8
    assert observation["floats"].shape == (3, 184)
    assert observation["floats"].dtype == np.float32
    assert observation in env.observation_space
    assert set(info) == {"progress_m", "race_time_ms", "finished", "zone_idx", "time_ms", "potential", "reason"}
    assert isinstance(env, gym.vector.VectorEnv)


def test_a_decision_is_fifty_milliseconds_and_acts_ten_later(straight: Track) -> None:
    env = RacingVectorEnv(straight, 2, BLIND)
    first, info = env.reset()
    assert info["time_ms"].tolist() == [0, 0]
    assert first["floats"][0, layout.RPM] == 0
    seen, *_, info = env.step(np.array([GO, COAST]))
    assert info["time_ms"].tolist() == [50, 50]
    assert seen["floats"][0, layout.RPM] > seen["floats"][1, layout.RPM]
    # The history shows the decision just taken last, and "forward" before the start.
    history = seen["floats"][1, layout.PREVIOUS_ACTIONS].reshape(5, 4)
    assert history.tolist() == [[1, 0, 0, 0]] * 4 + [[0, 0, 0, 0]]


def test_single_and_vector_environment_see_exactly_the_same(straight: Track) -> None:
    rng = np.random.default_rng(5)
    actions = rng.choice([0, 0, 0, 1, 2, 9, 10], size=(120, 3))
    config = EnvConfig(image_width=24, image_height=16, n_frames=3, extra_floats=("turbo", "wheel_contact_count"))
    single, vector = RacingEnv(straight, config), RacingVectorEnv(straight, 3, config)
    seen, single_info = single.reset()
    batch, info = vector.reset()
    for row in actions:
        assert np.array_equal(seen["floats"], batch["floats"][2])
        assert np.array_equal(seen["image"], batch["image"][2])
        assert single_info["potential"] == info["potential"][2]
        seen, reward, terminated, truncated, single_info = single.step(row[2])
        batch, rewards, terminations, truncations, info = vector.step(row)
        assert (reward, terminated, truncated) == (rewards[2], terminations[2], truncations[2])
        if terminated or truncated:
            break
    assert single_info["progress_m"] == info["progress_m"][2] > 10


def test_a_finished_race_pays_its_true_remainder_and_all_metres(straight: Track) -> None:
    env = RacingEnv(straight, BLIND)
    rewards, info = finish(env)
    race_time_ms = info["race_time_ms"]
    assert info["finished"]
    assert info["reason"] == EndReason.FINISHED
    assert 7_000 < race_time_ms < 8_000
    zones = env._book.zones
    metres = zones.finish_m[0] - env._book.start_progress_m[0]
    assert sum(rewards) == pytest.approx(-6 / 5_000 * race_time_ms + 0.01 * metres, abs=1e-4)
    # Reports leave out the two zones behind the finish that the reward counts.
    assert info["progress_m"] == pytest.approx(metres - (zones.finish_m[0] - zones.true_finish_m[0]))
    line = straight.reference_line
    assert line is not None
    assert info["progress_m"] == pytest.approx(line.info.length_m, rel=0.02)


def test_standing_still_is_not_optimal(straight: Track) -> None:
    env = RacingVectorEnv(straight, 2, BLIND)
    env.reset()
    sums = np.zeros(2)
    for _ in range(39):  # both episodes still run
        _, rewards, _, _, _ = env.step(np.array([GO, COAST]))
        sums += rewards
    assert sums[1] == pytest.approx(-39 * 0.06, abs=1e-3)
    assert sums[0] > sums[1] + 0.2


def test_a_car_without_progress_is_cut_off_and_a_late_one_too(straight: Track) -> None:
    env = RacingVectorEnv(straight, 1, BLIND)
    env.reset()
    for decision in range(1, 41):
        _, _, terminated, truncated, info = env.step(np.array([COAST]))
        assert not terminated[0]
        assert truncated[0] == (decision == 40), "2000 ms without a new zone"
    assert info["reason"][0] == EndReason.STALLED
    short = RacingVectorEnv(straight, 1, EnvConfig(images=False, time_limit_ms=500))
    short.reset()
    for _ in range(10):
        _, _, _, truncated, info = short.step(np.array([GO]))
    assert truncated[0]
    assert info["reason"][0] == EndReason.TIME_LIMIT
    slow = EnvConfig(images=False, stall_limit_ms_by_track={straight.uid: 100})
    patient = RacingVectorEnv(straight, 1, slow)
    patient.reset()
    patient.step(np.array([COAST]))
    assert patient.step(np.array([COAST]))[3][0]


def test_ended_episodes_wait_for_their_reset(straight: Track) -> None:
    config = EnvConfig(image_width=24, image_height=16, time_limit_ms=1_000)
    env = RacingVectorEnv(straight, 2, config)
    env.reset()
    for _ in range(20):
        before, _, _, truncated, _ = env.step(np.array([GO, COAST]))
    assert truncated.all()
    after, rewards, _, truncated, info = env.step(np.array([GO, GO]))
    assert rewards.tolist() == [0, 0]
    assert truncated.all()
    assert np.array_equal(before["image"], after["image"])
    after, info = env.reset(options={"reset_mask": np.array([False, True])})
    assert info["time_ms"].tolist() == [1_000, 0]
    assert info["reason"].tolist() == [EndReason.TIME_LIMIT, EndReason.RUNNING]
    fresh, _ = RacingVectorEnv(straight, 2, config).reset()
    assert np.array_equal(after["image"][1], fresh["image"][1])
    assert np.array_equal(after["floats"][1], fresh["floats"][1])


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_autoreset_modes_keep_the_last_observation_apart(straight: Track, mode: AutoresetMode) -> None:
    config = EnvConfig(image_width=24, image_height=16, n_frames=2, time_limit_ms=300)
    env = RacingVectorEnv(straight, 2, config, autoreset_mode=mode)
    first, _ = env.reset()
    assert env.metadata["autoreset_mode"] == mode
    for _ in range(6):
        seen, _, _, truncated, info = env.step(np.array([GO, GO]))
    assert truncated.all()
    if mode == AutoresetMode.SAME_STEP:
        assert np.array_equal(seen["image"], first["image"])
        assert info["final_info"]["time_ms"].tolist() == [300, 300]
        assert info["final_obs"]["floats"][0, layout.RPM] > 0
        assert info["time_ms"].tolist() == [0, 0]
    else:
        assert seen["floats"][0, layout.RPM] > 0
        seen, rewards, _, truncated, info = env.step(np.array([GO, GO]))
        assert np.array_equal(seen["image"], first["image"])
        assert np.array_equal(seen["floats"], first["floats"])
        assert rewards.tolist() == [0, 0]
        assert not truncated.any()


@pytest.mark.parametrize("n_tracks", [1, 2])
def test_many_cars_share_one_storage_from_step_to_step(straight: Track, n_tracks: int) -> None:
    n_cars = 1024
    config = EnvConfig(image_width=8, image_height=8, time_limit_ms=150)
    shared, copying = (
        RacingVectorEnv([straight] * n_tracks, n_cars, config, autoreset_mode=AutoresetMode.SAME_STEP, copy=copy)
        for copy in (False, True)
    )
    first, _ = shared.reset()
    copying.reset()
    tensors = {key: torch.from_numpy(array) for key, array in first.items()}
    before = first["floats"].copy()
    actions = np.arange(n_cars) % 12
    for _ in range(4):
        seen, rewards, _, _, info = shared.step(actions)
        theirs, their_rewards, _, _, their_info = copying.step(actions)
        assert np.array_equal(rewards, their_rewards)
        assert ("final_obs" in info) == ("final_obs" in their_info)
        for key, tensor in tensors.items():
            assert seen[key].ctypes.data == tensor.data_ptr(), "an observation moved to other memory"
            assert np.array_equal(tensor.numpy(), theirs[key])
            if "final_obs" in info:
                assert not np.shares_memory(info["final_obs"][key], seen[key])
                assert np.array_equal(info["final_obs"][key], their_info["final_obs"][key])
    assert not np.array_equal(before, tensors["floats"].numpy())


def test_evaluation_starts_are_drawn_from_the_seed_and_bounded() -> None:
    starts = evaluation_starts(7, 60)
    assert starts[0].is_undisturbed
    assert starts == evaluation_starts(7, 60)
    assert starts[:5] == evaluation_starts(7, 5)
    assert starts[1:] != evaluation_starts(8, 60)[1:]
    assert {start.wait_ticks for start in starts} == set(range(6))
    assert max(abs(start.lateral_m) for start in starts) <= 0.5
    assert max(abs(start.yaw_rad) for start in starts) <= np.deg2rad(1)
    assert len(set(starts)) == 60


def test_disturbed_starts_are_the_same_in_single_and_vector_environment(straight: Track) -> None:
    starts = evaluation_starts(1, 4)
    vector = RacingVectorEnv(straight, 4, SMALL)
    batch, info = vector.reset(options={"start": starts})
    assert info["time_ms"].tolist() == [10 * start.wait_ticks for start in starts]
    assert info["progress_m"].tolist() == [0] * 4
    batch, *_ = vector.step(np.full(4, GO))
    single = RacingEnv(straight, SMALL)
    for car, start in enumerate(starts):
        single.reset(options={"start": start})
        seen, *_ = single.step(GO)
        assert np.array_equal(seen["floats"], batch["floats"][car])
        assert np.array_equal(seen["image"], batch["image"][car])


def test_kept_states_serve_as_starts_but_not_shortly_before_a_failure(straight: Track) -> None:
    config = EnvConfig(images=False, snapshot_start_fraction=1.0, time_limit_ms=5_000)
    env = RacingVectorEnv(straight, 4, config, seed=3)
    env.reset()
    for _ in range(100):
        _, _, _, truncated, _ = env.step(np.full(4, GO))
    assert truncated.all()
    _, info = env.reset()
    # States of 1, 2 and 3 s are kept; those later than 2 s before the cut-off at 5 s are not.
    assert set(info["time_ms"].tolist()) <= {1_000, 2_000, 3_000}
    assert len(set(info["time_ms"].tolist())) > 1
    assert info["progress_m"].tolist() == [0] * 4
    # Going on from a kept state is the run it was kept from.
    plain = RacingVectorEnv(straight, 1, BLIND)
    plain.reset()
    for _ in range(int(info["time_ms"][0]) // 50):
        plain.step(np.array([GO]))
    ours, *_ = env.step(np.full(4, GO))
    theirs, *_ = plain.step(np.array([GO]))
    assert np.array_equal(ours["floats"][0], theirs["floats"][0])


def test_a_car_that_got_stuck_leaves_starts_from_well_before_it_stopped_only(straight: Track) -> None:
    config = EnvConfig(images=False, snapshot_start_fraction=1.0, snapshot_margin_ticks=100)
    env = RacingVectorEnv(straight, 8, config, seed=3)
    _, info = env.reset()
    zone, furthest_ms, truncated = info["zone_idx"][0], 0, np.zeros(8, dtype=bool)
    while not truncated[0]:
        action = GO if info["time_ms"][0] < 2_500 else BRAKE
        _, _, _, truncated, info = env.step(np.full(8, action))
        if info["zone_idx"][0] > zone:
            zone, furthest_ms = info["zone_idx"][0], int(info["time_ms"][0])
    assert info["reason"][0] == EndReason.STALLED
    assert info["time_ms"][0] == furthest_ms + 2_000
    _, info = env.reset()
    allowed = set(range(1_000, furthest_ms - 1_000 + 1, 1_000))
    assert set(info["time_ms"].tolist()) <= allowed, "a second before it stopped, not before it was cut off"
    assert allowed, "the episode must have been long enough to leave a start"


def test_an_episode_that_is_broken_off_leaves_no_starts_behind(straight: Track) -> None:
    config = EnvConfig(
        images=False, snapshot_start_fraction=1.0, snapshot_margin_ticks=0, stall_limit_ms=9_000, time_limit_ms=3_500
    )
    env = RacingVectorEnv(straight, 1, config, seed=3)
    _, fresh = env.reset()
    for _ in range(60):
        _, _, _, truncated, info = env.step(np.array([GO]))
    assert not truncated[0]
    assert info["zone_idx"][0] > fresh["zone_idx"][0]
    env.reset(options={"reset_mask": np.array([True])})
    while not truncated[0]:
        *_, truncated, _ = env.step(np.array([COAST]))
    _, info = env.reset()
    # The only episode that ended stood at the start line, so every kept state stands there as well.
    assert info["time_ms"][0] >= 1_000
    assert info["zone_idx"][0] == fresh["zone_idx"][0]


def test_a_reset_of_some_cars_keeps_what_the_others_offered(straight: Track) -> None:
    config = EnvConfig(images=False, snapshot_start_fraction=1.0, snapshot_margin_ticks=0, time_limit_ms=1_500)
    env = RacingVectorEnv(straight, 2, config, seed=3)
    env.reset()
    for _ in range(21):
        env.step(np.array([GO, GO]))
    env.reset(options={"reset_mask": np.array([True, False])})
    for _ in range(9):
        _, _, _, truncated, _ = env.step(np.array([COAST, GO]))
    assert truncated.tolist() == [False, True]
    _, info = env.reset(options={"reset_mask": np.array([False, True])})
    assert info["time_ms"][1] == 1_000


def test_several_tracks_share_one_environment(straight: Track) -> None:
    line = straight.reference_line
    assert line is not None
    beyond = line.points_m[-1] + np.array([0, 0, 0.5])
    longer = dataclasses.replace(line, points_m=np.vstack([line.points_m, beyond]))
    other = dataclasses.replace(straight, uid="other", reference_line=longer)
    both = RacingVectorEnv((straight, other), 4, BLIND, track_of_env=[0, 1, 1, 0])
    alone = RacingVectorEnv(straight, 1, BLIND)
    both.reset()
    alone.reset()
    for _ in range(60):
        seen, rewards, *_ = both.step(np.full(4, GO))
        expected, reward, *_ = alone.step(np.array([GO]))
    assert np.array_equal(seen["floats"][0], expected["floats"][0])
    assert np.array_equal(seen["floats"][3], expected["floats"][0])
    assert rewards[0] == rewards[3] == reward[0]
    assert seen["floats"][1, layout.MARGIN] > seen["floats"][0, layout.MARGIN]


def test_wrong_use_is_answered_with_a_sentence(straight: Track) -> None:
    env = RacingVectorEnv(straight, 2, BLIND)
    with pytest.raises(EnvError, match="before reset"):
        env.step(np.zeros(2, int))
    with pytest.raises(EnvError, match="every car"):
        env.reset(options={"reset_mask": np.array([True, False])})
    env.reset()
    with pytest.raises(EnvError, match="indices from 0 to 11"):
        env.step(np.array([0, 12]))
    with pytest.raises(EnvError, match="does not know the option"):
        env.reset(options={"mask": None})
    with pytest.raises(EnvError, match="Start or 2"):
        env.reset(options={"start": [Start()]})
    with pytest.raises(EnvError, match="reference line"):
        RacingVectorEnv(dataclasses.replace(straight, reference_line=None), 1)
    with pytest.raises(EnvError, match="from 0 to 0"):
        RacingVectorEnv(straight, 2, track_of_env=[0, 1])
    single = RacingEnv(straight, BLIND)
    with pytest.raises(EnvError, match="reset"):
        single.step(0)
    with pytest.raises(EnvError, match="RacingVectorEnv"):
        RacingEnv(straight, EnvConfig(snapshot_start_fraction=0.5))


def test_reward_settings_reach_the_environment(straight: Track) -> None:
    config = EnvConfig(images=False, reward=RewardConfig(per_ms=0, per_m=0, kamikaze=1))
    env = RacingVectorEnv(straight, 2, config)
    env.reset()
    for _ in range(20):  # until all wheels are down
        _, rewards, *_ = env.step(np.array([GO, COAST]))
    assert rewards.tolist() == [1, 0]


def test_coefficients_can_change_while_it_runs(straight: Track) -> None:
    env = RacingVectorEnv(straight, 1, BLIND)
    env.reset()
    assert env.step(np.array([GO]))[1][0] == pytest.approx(-0.06, abs=1e-3)
    env.set_reward(RewardConfig(per_ms=-1, per_m=0))
    assert env.step(np.array([GO]))[1][0] == -50
