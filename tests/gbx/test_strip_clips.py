"""Clips: their durations and triggers, and maps without them."""

import pytest

from trackmaster import gbx


def test_clips_say_how_long_they_last(intro_map_bytes: bytes) -> None:
    challenge = gbx.read_challenge(intro_map_bytes)
    assert challenge.intro_clip is not None
    assert challenge.intro_duration_s == pytest.approx(8.25), "the fade's last key decides"
    fade, text = challenge.intro_clip.tracks[0].blocks
    assert (fade.start_s, fade.end_s) == (0.0, 8.25)
    assert (text.text, text.start_s, text.end_s) == ("welcome", 0.5, 7.75), "a text lasts as long as its effect"
    assert challenge.ingame_clips is not None
    (trigger,) = challenge.ingame_clips.triggers
    assert (trigger.cells, trigger.condition, trigger.value) == (((10, 1, 12),), 2, 5.0)
    assert len(challenge.clips) == 2
    assert gbx.read_challenge(gbx.write_challenge(gbx.Challenge("u", "n"))).intro_duration_s == 0


@pytest.mark.parametrize("only_intro", [True, False])
def test_strip_keeps_uid_blocks_and_everything_but_the_clips(intro_map_bytes: bytes, only_intro: bool) -> None:
    before = gbx.read_challenge(intro_map_bytes)
    stripped = gbx.strip_intro_clips(intro_map_bytes, only_intro=only_intro)
    after = gbx.read_challenge(stripped)
    assert after.intro_clip is None
    assert (after.uid, after.blocks, after.medals, after.header) == (
        before.uid,
        before.blocks,
        before.medals,
        before.header,
    )
    assert after.ingame_clips == (before.ingame_clips if only_intro else None)
    assert gbx.strip_intro_clips(stripped, only_intro=only_intro) is stripped, "nothing left to take out"


def test_strip_all_gives_the_map_that_never_had_clips(intro_map_bytes: bytes, challenge: gbx.Challenge) -> None:
    assert gbx.strip_intro_clips(intro_map_bytes) == gbx.write_challenge(challenge, compress=False)


def test_strip_refuses_what_is_no_map(replay_bytes: bytes) -> None:
    with pytest.raises(gbx.GbxError, match="the file holds a replay, expected a map"):
        gbx.strip_intro_clips(replay_bytes)


@pytest.mark.corpus
def test_strip_real_maps(real_maps: list[tuple[str, bytes, gbx.Challenge]]) -> None:
    stripped = 0
    for name, data, before in real_maps:
        result = gbx.strip_intro_clips(data, name=name)
        after = gbx.read_challenge(result, name=name)
        assert (after.uid, after.blocks, after.header) == (before.uid, before.blocks, before.header), name
        assert (after.intro_clip, after.ingame_clips, after.endrace_clips) == (None, None, None), name
        assert (after.ambient_clip, after.medals, after.comments) == (
            before.ambient_clip,
            before.medals,
            before.comments,
        )
        stripped += result is not data
    assert stripped >= 70
