"""Every public choice has a twin in the reference, a kernel of its own, and a case in the oracle's grids."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import fastnn
import reference
from fastnn import activations, initializers, loss_kinds, metrics, optimizers, schedules
from fastnn.kernels import activations as activation_kernels
from fastnn.kernels import losses as loss_kernels
from fastnn.kernels import metrics as metric_kernels
from fastnn.kernels import optimizers as optimizer_kernels
from fastnn.kernels import row_activations, row_losses
from fastnn.kernels import schedules as schedule_kernels
from reference import losses as reference_losses
from reference.loss_choice import accepted_outputs
from reference.options import OPTIMIZERS as REFERENCE_OPTIMIZERS
from tests import problems, test_oracle, test_oracle_training, test_oracle_validation


def functions(module, arguments=None):
    """The public kernels of a module, by name; those that begin with these arguments."""
    found = {}
    for node in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            names = [argument.arg for argument in node.args.args]
            if arguments is None or names[: len(arguments)] == arguments:
                found[node.name] = getattr(module, node.name)
    return found


def classes(module, kind):
    """The public classes of a kind that a module has made itself, by name."""
    return {
        name: cls
        for name, cls in vars(module).items()
        if inspect.isclass(cls) and issubclass(cls, kind) and cls is not kind and cls.__module__ == module.__name__
    }


# Names -----------------------------------------------------------------------------------------------


def test_activations():
    # Those that need the whole row stand apart in the reference.
    twins = {*reference.activations.ACTIVATIONS, *reference.activations.ROW_ACTIVATIONS}
    assert set(activations.ACTIVATIONS) == twins
    coupled = {name for name, found in activations.ACTIVATIONS.items() if found.coupled}
    assert coupled == set(reference.activations.ROW_ACTIVATIONS)


def test_initializers():
    assert list(initializers.INITIALIZERS) == list(reference.initializers.INITIALIZERS)


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_default_initializers(name):
    assert activations.ACTIVATIONS[name].initializer == reference.initializers.default_initializer(name)


def test_losses():
    assert list(loss_kinds.LOSSES) == list(reference_losses.LOSSES)
    for name, loss in loss_kinds.LOSSES.items():
        fused = {output for output, formula in loss.formulas.items() if formula.fused}
        assert fused == set(reference_losses.LOGIT_LOSSES.get(name, {}))
        accepted = accepted_outputs(name)
        assert set(loss.formulas) == ({loss_kinds.ANY} if accepted is None else set(accepted))


@pytest.mark.parametrize("name", loss_kinds.LOSSES)
def test_losses_of_predictions(name):
    ours, twin = (set(arguments(getattr(library.losses, name))) for library in (fastnn, reference))
    # The reference has one sample's, p and t.
    assert ours - {"predictions", "targets", "sample_weight"} == twin - {"p", "t"}


def test_losses_with_settings():
    ours = classes(fastnn.losses, loss_kinds.Loss)
    twins = classes(reference.loss_settings, object)
    assert {name for name in ours if not name.startswith("_")} == set(twins)
    for name, twin in twins.items():
        assert arguments(ours[name]) == arguments(twin)
        assert getattr(reference.losses, name) is twin


def test_optimizers():
    assert list(optimizers.OPTIMIZERS) == list(REFERENCE_OPTIMIZERS)
    for name, cls in optimizers.OPTIMIZERS.items():
        assert cls.__name__ == REFERENCE_OPTIMIZERS[name].__name__
        assert getattr(fastnn, cls.__name__) is cls
        assert getattr(reference, cls.__name__) is REFERENCE_OPTIMIZERS[name]


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_optimizers_take_the_same(name):
    assert arguments(optimizers.OPTIMIZERS[name]) == arguments(REFERENCE_OPTIMIZERS[name])


SCHEDULES = classes(schedules, schedules.Schedule)


def test_schedules():
    assert set(SCHEDULES) == set(classes(reference.schedules, reference.schedules.Schedule))
    for name, cls in SCHEDULES.items():
        assert arguments(cls) == arguments(getattr(reference.schedules, name))


def test_metrics():
    assert list(metrics.METRICS) == list(reference.metrics.METRICS)
    for name in metrics.METRICS:
        twin = arguments(getattr(reference.metrics, name))
        twin.pop("epsilon", None)  # fastnn's is that of the dtype
        assert arguments(getattr(fastnn.metrics, name)) == twin


def test_data_sets():
    def names(module):
        found = inspect.getmembers(module, inspect.isfunction)
        return {name for name, function in found if function.__module__ == module.__name__}

    assert names(fastnn.datasets) == names(reference.datasets)


# Faces -----------------------------------------------------------------------------------------------

# What needs no twin: speed, files, tables, types, callbacks, advice, functions that people write themselves; and
# the neuron, which is for reading.
ONLY_FASTNN = {
    "BatchNormalization",
    "Callback",
    "Dataset",
    "Diagnosis",
    "Ensemble",
    "Fits",
    "Progress",
    "StopTraining",
    "diagnose",
    "gradient_one",
    "predict_one",
    "each",
    "fit_many",
    "load",
    "own_activation",
    "own_loss",
}
ONLY_FASTNN_ARGUMENTS = {
    "dtype",
    "callbacks",
    "verbose",
    "checkpoint",
    "checkpoint_every",
    "resume",
    "threads",
    "memory_limit",
}
ONLY_REFERENCE = {"Neuron"}
METHODS = ["predict", "forward", "backward", "zero_grad", "update", "fit", "evaluate", "loss_and_gradient"]


def test_public_names():
    def public(module):
        names = {name for name in dir(module) if not name.startswith("_")}
        return {name for name in names if not inspect.ismodule(getattr(module, name))}

    assert public(fastnn) - public(reference) == ONLY_FASTNN
    assert public(reference) - public(fastnn) == ONLY_REFERENCE


def arguments(function):
    """Name and default of each argument; without that of y, which fastnn can do without when it has a Dataset."""
    parameters = inspect.signature(function).parameters.values()
    return {
        p.name: None if p.name in ("y", "d_output") else p.default
        for p in parameters
        if p.name not in ONLY_FASTNN_ARGUMENTS
    }


BOTH = [
    "Dense",
    "Dropout",
    "LayerNormalization",
    "Sequential",
    "mlp",
    "EarlyStopping",
    "numerical_diff",
    "numerical_gradient",
    "tangent_line",
    "check_gradients",
]


@pytest.mark.parametrize("name", BOTH)
def test_functions_and_classes_take_the_same(name):
    assert arguments(getattr(fastnn, name)) == arguments(getattr(reference, name))


@pytest.mark.parametrize("name", METHODS)
def test_methods_take_the_same(name):
    assert arguments(getattr(fastnn.Sequential, name)) == arguments(getattr(reference.Sequential, name))


# Kernels ---------------------------------------------------------------------------------------------


def same(found, used):
    """Whether each kernel is used; kernels are no keys of sets without compilation, but known by their names."""
    assert set(found) == {kernel.__name__ for kernel in used}


def test_every_activation_of_the_kernels_is_used():
    whole = functions(row_activations, ["z", "y", "d", "shape", "mode"])
    same(functions(activation_kernels, ["z"]) | whole, [a.kernel for a in activations.ACTIVATIONS.values()])


def test_every_loss_of_the_kernels_is_used():
    # The two that have no name: of a gradient handed to backward, and of plain probabilities.
    every = [loss_kinds.LINEAR, loss_kinds.OF_PROBABILITIES, *loss_kinds.LOSSES.values()]
    used = [formula.kernel for loss in every for formula in loss.formulas.values()]
    used += [loss.of_numbers.kernel for loss in every if loss.of_numbers is not None]
    same(functions(loss_kernels, ["z", "y", "t"]) | functions(row_losses, ["rows"]), used)


def test_every_update_of_the_kernels_is_used():
    used = [cls.kernel for cls in optimizers.OPTIMIZERS.values() if not cls.line_search]
    same(functions(optimizer_kernels, ["given", "memory", "settings"]), used)


def test_every_schedule_of_the_kernels_is_used():
    with_kernel = [cls for cls in SCHEDULES.values() if cls not in (schedules.ReduceOnPlateau, schedules.WarmUp)]
    same(functions(schedule_kernels), [cls.kernel for cls in with_kernel])


def test_every_metric_of_the_kernels_is_used():
    found = functions(metric_kernels, ["predictions", "targets", "weights"])
    assert set(found) == {metric.kernel for metric in metrics.METRICS.values()}


# Cases of the oracle ---------------------------------------------------------------------------------


def named(cases):
    """The names and arguments of all calls within."""
    found = {}
    for case in cases:
        if isinstance(case, dict):
            found |= named(case.values())
        elif isinstance(case, (list, tuple)):
            found |= named(case)
        elif isinstance(case, problems.Call):
            found.setdefault(case.name, set()).update(case.settings)
            for name, given in named([*case.arguments, *case.settings.values()]).items():
                found.setdefault(name, set()).update(given)
    return found


def test_oracle_has_a_case_for_each_activation_and_loss():
    coupled = {name for name, found in activations.ACTIVATIONS.items() if found.coupled}
    assert set(problems.HIDDEN) == set(activations.ACTIVATIONS) - {"step"} - coupled
    outputs, losses = (set(names) for names in zip(*problems.OUTPUT_AND_LOSS, strict=True))
    assert outputs == set(activations.ACTIVATIONS) - {"step"}
    assert losses == set(loss_kinds.LOSSES)
    fused = {(output, name) for name, of in reference_losses.LOGIT_LOSSES.items() for output in of}
    assert fused <= set(problems.PAIRS) <= set(problems.OUTPUT_AND_LOSS)
    assert {name for _, name in problems.PAIRS} == losses


def test_oracle_has_a_case_for_each_loss_with_settings():
    found = named([loss for _, loss, _ in problems.LOSSES_WITH_SETTINGS])
    assert set(found) == {f"losses.{name}" for name in classes(reference.loss_settings, object)}


OPTIMIZER_CASES = named(test_oracle_training.OPTIMIZERS.values())


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_oracle_has_a_run_with_each_setting_of_each_optimizer(name):
    cls = optimizers.OPTIMIZERS[name]
    settings = arguments(cls).keys() - {"learning_rate", "clip_value", "clip_norm"}
    assert OPTIMIZER_CASES[cls.__name__] >= settings


def test_oracle_has_a_run_with_each_setting_of_each_schedule():
    found = named(test_oracle_training.SCHEDULES.values())
    for name, cls in SCHEDULES.items():
        assert found[f"schedules.{name}"] >= arguments(cls).keys() - {"initial", "maximum", "after"}


def test_oracle_has_a_run_with_each_metric():
    found = {name for case in test_oracle_validation.METRICS.values() for name in case["metrics"]}
    assert found >= set(metrics.METRICS)


def test_oracle_has_a_run_with_each_option_of_layers():
    found = inspect.getsource(test_oracle_training) + inspect.getsource(test_oracle)
    for cls in (fastnn.Dense, fastnn.Dropout, fastnn.LayerNormalization):
        assert f"of.{cls.__name__}(" in found
    for name in arguments(fastnn.Dense).keys() - {"units", "activation", "weights", "bias", "initializer"}:
        assert f"{name}=" in found


def test_oracle_has_a_run_with_each_option_of_fit():
    cases = [
        *test_oracle.RUNS.values(),
        *test_oracle_validation.VALIDATION.values(),
        *test_oracle_validation.METRICS.values(),
        *test_oracle_validation.STOPPING.values(),
        *test_oracle_validation.CLASS_WEIGHTS.values(),
    ]
    used = {name for options in cases for name in options}
    by_hand = {"self", "X", "y", "epochs", "optimizer", "loss", "sample_weight", "log_every"}
    assert used >= arguments(fastnn.Sequential.fit).keys() - by_hand
