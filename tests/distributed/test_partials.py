"""``partial`` of the seed, and the arguments of tmrl that mean nothing here."""

import functools
import logging

import pytest

from trackmaster.distributed.config_json.partials import partial
from trackmaster.distributed.link.server_link import say_ignored, space_text


class Agent:
    def __init__(self, lr: float = 0.1, gamma: float = 0.9) -> None:
        self.lr, self.gamma = lr, gamma


def outer(agent_cls=Agent, steps: int = 3):
    return agent_cls(), steps


def test_a_partial_without_a_function_fills_in_the_default() -> None:
    agent, steps = partial(outer, agent_cls=partial(lr=0.5), steps=7)()
    assert (agent.lr, agent.gamma, steps) == (0.5, 0.9, 7)
    agent, steps = partial(outer, agent_cls=partial(Agent, gamma=0.2))()
    assert (agent.gamma, steps) == (0.2, 3)
    assert isinstance(partial(outer), functools.partial)
    with pytest.raises(TypeError, match="names no function"):
        partial(outer, steps=partial(lr=1))


def test_tmrls_ports_are_accepted_and_typing_errors_are_not(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        say_ignored(local_port=55556, header_size=12, hostname=None)
    assert len(caplog.records) == 2
    with pytest.raises(TypeError, match="server_prot"):
        say_ignored(server_prot=1)


def test_spaces_are_the_same_text_everywhere() -> None:
    from gymnasium import spaces

    space = spaces.Tuple((spaces.Box(0, 255, (4, 64, 64), "uint8"), spaces.Dict({"a": spaces.Discrete(3)})))
    assert space_text(space) == "Tuple(Box(0, 255, (4, 64, 64), uint8), Dict(a: Discrete(3)))"
