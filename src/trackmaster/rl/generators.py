"""Generators of random numbers as text, so that a continued run draws on where it stopped."""

import torch


def generator_state(generator: torch.Generator | None) -> str | None:
    """Return the state as hexadecimal digits; None for none."""
    return None if generator is None else bytes(generator.get_state().tolist()).hex()


def restore_generator(generator: torch.Generator | None, state: str | None) -> None:
    """Take over what ``generator_state`` gave; a generator that is missing on either side is left alone."""
    if generator is not None and state is not None:
        generator.set_state(torch.tensor(list(bytes.fromhex(state)), dtype=torch.uint8))
