"""The example of the README in full: a learnt force in a compiled simulation, and a learnt energy.

A particle of mass 1 in the potential of an anharmonic oscillator, V = x²/2 + x⁴/4, whose force is -x - x³. A
network learns the force, or the energy, from samples; the method of Verlet moves the particle with either of them.
"""

from __future__ import annotations

import numba
import numpy as np
import pytest

import fastnn

pytestmark = pytest.mark.compiled  # 20,000 steps

STEP, STEPS = 0.001, 20_000  # about three periods


@numba.njit
def with_force(net, x, v, dt, steps):
    """The positions and velocities (steps, 2), by velocity Verlet, with a network for the force."""
    path = np.empty((steps, 2))
    position, force = np.array([x]), np.empty(1)
    fastnn.predict_one(net, position, force)
    for step in range(steps):
        v += dt / 2 * force[0]
        position[0] += dt * v
        fastnn.predict_one(net, position, force)
        v += dt / 2 * force[0]
        path[step] = position[0], v
    return path


@numba.njit
def with_energy(net, x, v, dt, steps):
    """The same with a network for the potential, whose derivative is minus the force."""
    path = np.empty((steps, 2))
    position, slope = np.array([x]), np.empty((1, 1))
    fastnn.gradient_one(net, position, slope)
    for step in range(steps):
        v -= dt / 2 * slope[0, 0]
        position[0] += dt * v
        fastnn.gradient_one(net, position, slope)
        v -= dt / 2 * slope[0, 0]
        path[step] = position[0], v
    return path


def exact(x, v, dt, steps):
    """The same with the true force, in plain Python."""
    path = np.empty((steps, 2))
    force = -x - x**3
    for step in range(steps):
        v += dt / 2 * force
        x += dt * v
        force = -x - x**3
        v += dt / 2 * force
        path[step] = x, v
    return path


def energy(path):
    x, v = path.T
    return v**2 / 2 + x**2 / 2 + x**4 / 4


def learnt(target):
    x = np.linspace(-1.4, 1.4, 200)[:, np.newaxis]
    net = fastnn.mlp([1, 24, 1], activation="tanh")
    net.fit(x, target(x), epochs=300, optimizer=fastnn.LevenbergMarquardt())
    return net


@pytest.fixture(scope="module")
def true_path():
    return exact(1.0, 0.0, STEP, STEPS)


@pytest.mark.slow
def test_learnt_force(true_path):
    net = learnt(lambda x: -x - x**3)
    path = with_force(net.handle, 1.0, 0.0, STEP, STEPS)
    assert np.abs(path - true_path).max() <= 2e-3
    assert np.ptp(energy(path)) <= 2e-4
    assert np.ptp(path[:, 0]) > 1.99  # it has swung


def test_learnt_energy(true_path):
    net = learnt(lambda x: x**2 / 2 + x**4 / 4)
    path = with_energy(net.handle, 1.0, 0.0, STEP, STEPS)
    assert np.abs(path - true_path).max() <= 1e-3
    assert np.ptp(energy(path)) <= 3e-5
    # What the network takes for the energy is conserved as well as Verlet's method conserves any.
    x, v = path.T
    of_network = v**2 / 2 + net.predict(x[:, np.newaxis])[:, 0]
    assert np.ptp(of_network) <= 1e-6
