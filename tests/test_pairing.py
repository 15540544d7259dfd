"""Every public choice has a twin in the reference, a number in the kernels, and a case in the oracle's grid."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import fastnn
import reference
from fastnn import activations, initializers, loss_kinds, optimizers
from fastnn.kernels import activations as activation_kinds
from fastnn.kernels import losses as loss_kinds_of_kernels
from fastnn.kernels import optimizers as optimizer_kinds
from reference import losses as reference_losses
from tests import problems, test_oracle


def constants(module):
    """The kinds of a kernel module: names in capitals of one assignment from range()."""
    for node in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("range("):
            return {name.id: getattr(module, name.id) for name in node.targets[0].elts}
    raise AssertionError(f"{module.__name__} has no kinds")


# Names -----------------------------------------------------------------------------------------------


def test_activations():
    # softmax stands apart in the reference, as it needs the whole row.
    assert set(activations.ACTIVATIONS) == {*reference.activations.ACTIVATIONS, "softmax"}


def test_initializers():
    assert list(initializers.INITIALIZERS) == list(reference.initializers.INITIALIZERS)


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_default_initializers(name):
    assert activations.ACTIVATIONS[name].initializer == reference.initializers.default_initializer(name)


def test_losses():
    assert list(loss_kinds.LOSSES) == list(reference_losses.LOSSES)
    logits = {name: set(loss.from_logits) for name, loss in loss_kinds.LOSSES.items() if loss.from_logits}
    assert logits == {name: set(outputs) for name, outputs in reference_losses.LOGIT_LOSSES.items()}
    for name in loss_kinds.LOSSES:
        assert callable(getattr(fastnn.losses, name))
        assert callable(getattr(reference.losses, name))


def test_optimizers():
    for cls in optimizers.OPTIMIZERS.values():
        twin = getattr(reference, cls.__name__)
        assert inspect.signature(cls).parameters.keys() == inspect.signature(twin).parameters.keys()


def test_data_sets():
    def names(module):
        found = inspect.getmembers(module, inspect.isfunction)
        return {name for name, function in found if function.__module__ == module.__name__}

    assert names(fastnn.datasets) == names(reference.datasets)


# Faces -----------------------------------------------------------------------------------------------

# What needs no twin: speed, files, tables, types, and the neuron, which is for reading.
ONLY_FASTNN = {"Dataset", "load", "dtype"}
ONLY_REFERENCE = {"Neuron"}
METHODS = ["predict", "forward", "backward", "zero_grad", "update", "fit", "evaluate", "loss_and_gradient"]


def test_public_names():
    def public(module):
        return {
            name for name in vars(module) if not name.startswith("_") and not inspect.ismodule(vars(module)[name])
        }

    assert public(fastnn) - public(reference) == ONLY_FASTNN - {"dtype"}
    assert public(reference) - public(fastnn) == ONLY_REFERENCE


def arguments(function):
    """Name, default and kind of each argument, but for y, which fastnn can do without when it has a Dataset."""
    parameters = inspect.signature(function).parameters.values()
    return {
        p.name: None if p.name in ("y", "d_output") else (p.default)
        for p in parameters
        if p.name not in ONLY_FASTNN
    }


@pytest.mark.parametrize("name", ["SGD", "Dense", "Sequential", "mlp", "numerical_diff", "numerical_gradient"])
def test_functions_and_classes_take_the_same(name):
    assert arguments(getattr(fastnn, name)) == arguments(getattr(reference, name))


@pytest.mark.parametrize("name", ["tangent_line", "check_gradients"])
def test_helpers_take_the_same(name):
    assert arguments(getattr(fastnn, name)) == arguments(getattr(reference, name))


@pytest.mark.parametrize("name", METHODS)
def test_methods_take_the_same(name):
    assert arguments(getattr(fastnn.Sequential, name)) == arguments(getattr(reference.Sequential, name))


# Numbers in the kernels ------------------------------------------------------------------------------


def test_every_activation_of_the_kernels_is_used_once():
    used = sorted(activation.kind for activation in activations.ACTIVATIONS.values())
    assert used == sorted(constants(activation_kinds).values())


def test_every_loss_of_the_kernels_is_used_once():
    # The two that have no name: of a gradient handed to backward, and of plain probabilities.
    used = [loss_kinds_of_kernels.LINEAR, loss_kinds_of_kernels.CROSS_ENTROPY_OF_PROBABILITIES]
    for loss in loss_kinds.LOSSES.values():
        used += [loss.kind] if loss.from_logits is None else loss.from_logits.values()
    assert sorted(used) == sorted(constants(loss_kinds_of_kernels).values())


def test_every_optimizer_of_the_kernels_is_used():
    used = {optimizer_kinds.EVALUATE, optimizer_kinds.GRADIENT}
    used |= {optimizer.kind for optimizer in optimizers.OPTIMIZERS.values()}
    assert used == set(constants(optimizer_kinds).values())


# Cases of the oracle ---------------------------------------------------------------------------------


def test_oracle_has_a_case_for_each_activation_and_loss():
    assert set(problems.HIDDEN) == set(activations.ACTIVATIONS) - {"step", "softmax"}
    outputs, losses = (set(names) for names in zip(*problems.OUTPUT_AND_LOSS, strict=True))
    assert outputs == set(activations.ACTIVATIONS) - {"step"}
    assert losses == set(loss_kinds.LOSSES)
    fused = {(output, name) for name, of in reference_losses.LOGIT_LOSSES.items() for output in of}
    assert fused <= set(problems.OUTPUT_AND_LOSS)


def test_oracle_has_a_run_with_each_option_of_the_optimizer_and_of_batches():
    used = {name for options in test_oracle.RUNS.values() for name in options}
    assert used >= inspect.signature(fastnn.SGD).parameters.keys() - {"learning_rate"}
    assert used >= {"batch_size", "shuffle", "seed"}
