"""The kernels do what the slow float64 reference does, manoeuvre by manoeuvre."""

import math

import numpy as np
import pytest

from trackmaster.sim import World
from trackmaster.sim.reference import Inputs, Plane, ReferenceCar, run_tick
from trackmaster.sim.rotation import quaternion_from_matrix

LEANING = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
"""Rolled by 16 degrees."""
ROOF = np.diag([-1.0, -1.0, 1.0])

MANOEUVRES = {
    # name: (inputs of tick k, ticks, position, velocity, rotation, spin, material)
    "launch and weave": (lambda k: (math.sin(k / 40), 1, 0), 400, (0, 0.21, 0), (0, 0, 0), np.eye(3), (0, 0, 0), 16),
    "analog drift": (lambda k: (0.9, 1, 0), 100, (0, 0.02, 0), (0, 0, 83), np.eye(3), (0, 0, 0), 16),
    "braked drift": (lambda k: (1, 0, 1), 300, (0, 0.02, 0), (0, 0, 75), np.eye(3), (0, 0, 0), 16),
    "burnout and donut": (lambda k: (1, 1, k > 60), 300, (0, 0.21, 0), (0, 0, 0), np.eye(3), (0, 0, 0), 16),
    "standing burnout": (lambda k: (0, 1, k < 120), 250, (0, 0.21, 0), (0, 0, 0), np.eye(3), (0, 0, 0), 16),
    "reverse": (
        lambda k: (math.sin(k / 40), k > 200, k <= 200),
        300,
        (0, 0.21, 0),
        (0, 0, 0),
        np.eye(3),
        (0, 0, 0),
        16,
    ),
    "flight and landing": (lambda k: (1, 1, k > 60), 200, (0, 10, 0), (3, 5, 30), np.eye(3), (0.5, 1, -0.8), 16),
    "counter-steered flight": (lambda k: (-1, 1, 0), 80, (0, 15, 0), (3, 5, 30), np.eye(3), (0.5, -4, 0.2), 16),
    "hull on metal": (lambda k: (0, 1, 0), 150, (0, 0.9, 0), (2, -5, 30), LEANING, (0, 0, 2.0), 4),
    "roof": (lambda k: (0, 1, 0), 150, (0, 1.5, 0), (0, -3, 20), ROOF, (0, 0, 0), 16),
    "turbo": (lambda k: (0.1, 1, 0), 150, (0, 0.02, 0), (0, 0, 29), np.eye(3), (0, 0, 0), 7),
    "red turbo": (lambda k: (0, 0, 0), 100, (0, 0.02, 0), (0, 0, 29), np.eye(3), (0, 0, 0), 26),
    "free wheeling": (lambda k: (0.3, 1, k > 60), 120, (0, 0.02, 0), (0, 0, 29), np.eye(3), (0, 0, 0), 29),
    "under water": (lambda k: (0.4, k > 50, k < 20), 300, (0, 1.5, 0), (3, -2, 30), LEANING, (0.5, 1.0, 0.2), 10),
    "water in reverse": (lambda k: (0.2, 0, 1), 250, (0, 0.02, 0), (0, 0, 5), np.eye(3), (0, 0, 0), 10),
    "splash and skip": (lambda k: (0.2, 1, 0), 150, (0, 7, 0), (2, -8, 90), np.eye(3), (0.1, 0.2, 0.1), 10),
    "steep splash": (lambda k: (0.2, 1, 0), 150, (0, 7, 0), (2, -60, 20), np.eye(3), (0.1, 0.2, 0.1), 10),
    "ice": (lambda k: (0.5, 1, k > 100), 150, (0, 0.02, 0), (0, 0, 29), np.eye(3), (0, 0, 0), 3),
}


@pytest.mark.parametrize("name", MANOEUVRES)
def test_kernel_follows_the_reference(name, plane_track):
    script, ticks, position, velocity, rotation, spin, material = MANOEUVRES[name]
    water_m = 6.0 if any(word in name for word in ("water", "splash")) else None
    world = World(plane_track(material=material, water_m=water_m), 1)
    world.place(None, position, rotation, velocity, spin)
    view = world.view
    car = ReferenceCar(
        position=np.array(position, np.float64),
        quaternion=quaternion_from_matrix(rotation),
        velocity=np.array(velocity, np.float64),
        spin=np.array(spin, np.float64),
    )
    car.local_velocity = car.rotation.T @ car.velocity
    # Block axes are unknown on a bare plane: the kernel then boosts along the car, and so must the reference.
    for k in range(ticks):
        steer, gas, brake = (float(x) for x in script(k))
        world.step(steer, gas, brake)
        forward = tuple(car.rotation[:, 2])
        run_tick(car, Inputs(steer, gas, brake), Plane(0.0, material, forward, water_m))
    assert view.position_m[0] == pytest.approx(car.position, abs=5e-4)
    assert view.rotation[0] == pytest.approx(car.rotation, abs=5e-5)
    assert view.velocity_mps[0] == pytest.approx(car.velocity, abs=1e-3)
    assert view.angular_velocity_radps[0] == pytest.approx(car.spin, abs=2e-3)
    assert view.damper_m[0] == pytest.approx([wheel.absorb for wheel in car.wheels], abs=1e-4)
    assert view.rpm[0] == pytest.approx(car.rpm, abs=1.0)
    assert view.gear[0] == car.gear
    assert view.gearbox_state[0] == car.engine_mode
    assert view.wheel_sliding[0].tolist() == [wheel.sliding for wheel in car.wheels]
    assert view.wheel_contact[0].tolist() == [wheel.contact for wheel in car.wheels]
    assert bool(view.body_contact[0]) == car.body_hit
