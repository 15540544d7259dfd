"""One sample through the whole network, forward and backward, with a lane for each unit.

With only one sample, lanes of samples would be empty. Here the numbers of a dense layer's units are side by side,
in whole vectors: z, y and d, at the places that the plan gives their rows. After the units, y holds anything and d
zeros. A layer that is not dense, and everything else that needs one row per unit, is given rows of ``stride``
numbers as in ``kernels.tile``, with the sample in lane 0; such rows are called spread. Each z, and so each y, is
the sum of the same products in the same order as there, and has the same bits. Gradients with respect to the
inputs of a layer of several units are summed in another order.

I inputs, O outputs of a layer; weights are (I, O), row by row.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels import calls
from fastnn.kernels.activations import TIMES_SLOPE, VALUE, VALUE_AND_SLOPE
from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.layout import (
    DENSE,
    FIRST_TRAINED,
    FUSED,
    GRADIENT_ROW,
    HEAD,
    INPUTS,
    LAYER_ACTIVATION,
    LAYER_BACKWARD,
    LAYER_BIAS,
    LAYER_COUPLED,
    LAYER_D,
    LAYER_FIELDS,
    LAYER_FORWARD,
    LAYER_INPUTS,
    LAYER_KIND,
    LAYER_NUMBER,
    LAYER_OUTPUTS,
    LAYER_SETTING,
    LAYER_TRAINED,
    LAYER_WEIGHTS,
    LAYER_Y,
    LAYER_Z,
    LAYERS,
    LOSS,
    LOSS_SETTINGS,
    OUTPUTS,
    SEED,
    SINGLE_ROW,
    SINGLE_ROWS,
    STRIDE,
    TARGET_ROW,
    WEIGHT_ROW,
)
from fastnn.kernels.simd import (
    FOUR,
    ONE,
    add_outer,
    add_outer_spread,
    fill,
    fma,
    load,
    load_columns,
    load_first,
    load_part,
    load_rows,
    load_rows_part,
    offset,
    put_totals,
    store,
    store_block,
    store_first,
    width,
    zeros,
)
from fastnn.kernels.vectors import padded


@inlined
def _spread(source: Any, step: int, target: Any, stride: int, count: int) -> None:
    """Overwrite spread rows with numbers that are ``step`` apart, each in every lane."""
    like = fill(load(target, 0), 0.0)
    for i in range(count):
        store(target, i * stride, fill(like, source[i * step]))


@inlined
def _gather(source: Any, stride: int, target: Any, count: int) -> None:
    """Overwrite ``count`` numbers with those in lane 0 of spread rows."""
    for i in range(count):
        target[i] = source[i * stride]


@inlined
def _clear_tail(row: Any, count: int) -> None:
    """Overwrite what follows ``count`` numbers, up to whole vectors, with zeros."""
    used = count % width(row)
    if used != 0:
        store(row, count - used, load_part(row, count - used, used))


@inlined
def _outputs_block(
    x: Any, step: int, weights: Any, bias: Any, z: Any, units: int, inputs: int, columns: tuple
) -> None:
    """Overwrite z with bias + Σ_i x[i]·weights[i], for the units of a few vectors."""
    sums = load_columns(bias, 0, columns)
    for i in range(inputs):
        sums = add_outer_spread(sums, offset(x, i * step), 1, ONE, load_columns(weights, i * units, columns))
    store_block(z, 0, sums, ONE)


@inlined
def _outputs_first(
    x: Any, step: int, weights: Any, bias: Any, z: Any, units: int, inputs: int, columns: tuple
) -> None:
    """Do the same for as few units as ``columns`` is long."""
    sum_ = load_first(bias, 0, columns)
    for i in range(inputs):
        sum_ = fma(x[i * step], load_first(weights, i * units, columns), sum_)
    store(z, 0, sum_)


@inlined
def outputs(x: Any, step: int, weights: Any, bias: Any, z: Any, units: int, inputs: int) -> None:
    """Overwrite z (O) with weightsᵀ·x + bias; the numbers of x (I) are ``step`` apart."""
    lanes = width(z)
    u = 0
    while u + 4 * lanes <= units:
        _outputs_block(x, step, offset(weights, u), offset(bias, u), offset(z, u), units, inputs, FOUR)
        u += 4 * lanes
    while u + lanes <= units:
        _outputs_block(x, step, offset(weights, u), offset(bias, u), offset(z, u), units, inputs, ONE)
        u += lanes
    if u < units:
        left, at = units - u, offset(weights, u)
        # Parameters have just been stored, in whole vectors: masked loads have to wait for that, narrow ones need
        # not.
        if left == 1:
            _outputs_first(x, step, at, offset(bias, u), offset(z, u), units, inputs, ONE)
        elif left == 4:
            _outputs_first(x, step, at, offset(bias, u), offset(z, u), units, inputs, FOUR)
        else:
            sum_ = load_part(bias, u, left)
            for i in range(inputs):
                sum_ = fma(x[i * step], load_part(at, i * units, left), sum_)
            store(z, u, sum_)


@inlined
def _inputs_block(weights: Any, d: Any, dx: Any, units: int, rows: tuple) -> None:
    """Overwrite dx[i] with Σ_o weights[i, o]·d[o], for a few inputs."""
    lanes = width(d)
    sums = zeros(d, rows, ONE)
    whole = units - units % lanes
    for u in range(0, whole, lanes):
        sums = add_outer(sums, load_rows(weights, u, units, rows), load_columns(d, u, ONE))
    if whole < units:
        sums = add_outer(
            sums, load_rows_part(weights, whole, units, rows, units - whole), load_columns(d, whole, ONE)
        )
    # As one row: the totals are side by side.
    put_totals(dx, 0, sums, ONE, False)


@kernel
def backward_inputs(weights: Any, d: Any, dx: Any, units: int, inputs: int) -> None:
    """Overwrite dx (I) with weights·d."""
    i = 0
    while i + 4 <= inputs:
        _inputs_block(offset(weights, i * units), d, offset(dx, i), units, FOUR)
        i += 4
    while i < inputs:
        _inputs_block(offset(weights, i * units), d, offset(dx, i), units, ONE)
        i += 1


@inlined
def times_weights(weights: Any, d: Any, dx: Any, inputs: int) -> None:
    """Multiply dx (I, whole vectors) by weights·d for a layer of one unit."""
    i, lanes, slope = 0, width(d), d[0]
    while i + lanes <= inputs:
        store(dx, i, fma(slope, load(weights, i), 0.0) * load(dx, i))
        i += lanes
    if i < inputs:
        store(dx, i, fma(slope, load_part(weights, i, inputs - i), 0.0) * load(dx, i))


@inlined
def _products(x: Any, d: Any, dw: Any, units: int, add: bool) -> None:
    """Overwrite dw (O) with x·d (or add it); at most up to whole vectors, overwrite with zeros (or add those)."""
    u, lanes = 0, width(d)
    while u + lanes <= units or u + 4 < units:
        before = fill(load(d, 0), 0.0)
        if add:
            before = load(dw, u)
        store(dw, u, fma(x, load(d, u), before))
        u += lanes
    if u + 1 < units:
        before = fill(load(d, 0), 0.0)
        if add:
            before = load_first(dw, u, FOUR)
        store_first(dw, u, fma(x, load(d, u), before), FOUR)
    elif u < units:
        before = fill(load(d, 0), 0.0)
        if add:
            before = load_first(dw, u, ONE)
        store_first(dw, u, fma(x, load(d, u), before), ONE)


@inlined
def backward_weights(x: Any, step: int, d: Any, dw: Any, units: int, inputs: int, add: bool) -> None:
    """Overwrite (or add to) dw (I, O) with x·dᵀ, and the bias that follows it with d.

    What follows them, at most up to a whole vector, is overwritten with zeros (or stays as it is).
    """
    for i in range(inputs):
        _products(x[i * step], d, offset(dw, i * units), units, add)
    _products(1.0, d, offset(dw, inputs * units), units, add)


@inlined
def forward(plan: Any, numbers: Any, parameters: Any, x: Any, scratch: Any, training: bool, at: tuple) -> Any:
    """Overwrite the scratch rows z and y of every layer; return the last layer's y (K), side by side.

    The last layer is dense. x (F) may be anywhere. When training, also overwrite d with the derivatives of the
    activations. ``at`` is (indices of rows, the epoch) for dropout: one index for each lane of a vector, all of
    them the sample's. Nothing is read beyond the parameters, so that they may be a network's own.
    """
    stride, lanes = plan[STRIDE], width(scratch)
    one, two = _work(plan, scratch)
    y, step = x, 1
    for i in range(plan[LAYERS]):
        layer = offset(plan, HEAD + i * LAYER_FIELDS)
        weights = offset(parameters, layer[LAYER_WEIGHTS])
        z, source = offset(scratch, layer[LAYER_Z] * stride), y
        y, d = offset(scratch, layer[LAYER_Y] * stride), offset(scratch, layer[LAYER_D] * stride)
        inputs, units = layer[LAYER_INPUTS], layer[LAYER_OUTPUTS]
        if layer[LAYER_KIND] == DENSE:
            outputs(source, step, weights, offset(parameters, layer[LAYER_BIAS]), z, units, inputs)
            step = 1
            wanted = training and i >= plan[FIRST_TRAINED] and not (plan[FUSED] != 0 and i == plan[LAYERS] - 1)
            mode = VALUE_AND_SLOPE if wanted else VALUE
            if layer[LAYER_COUPLED] != 0:
                _spread(z, 1, one, stride, units)
                calls.activate(layer[LAYER_ACTIVATION], one, two, d, stride, lanes, units, mode)
                _gather(two, stride, y, units)
            else:
                whole = padded(units, z)
                calls.activate(layer[LAYER_ACTIVATION], z, y, d, whole, whole, 1, mode)
                if wanted:
                    _clear_tail(d, units)
        else:
            setting, number = numbers[layer[LAYER_SETTING]], layer[LAYER_NUMBER]
            if step == 1:
                _spread(source, 1, one, stride, inputs)
                source = one
            shape = (stride, lanes, units)
            rows = source, z, y, d
            calls.layer_forward(layer[LAYER_FORWARD], rows, weights, setting, at, plan[SEED], number, shape)
            step = stride
    return y


@inlined
def _work(plan: Any, scratch: Any) -> tuple:
    """Return two sets of spread rows as working memory."""
    first = plan[SINGLE_ROW] * plan[STRIDE]
    return offset(scratch, first), offset(scratch, first + plan[SINGLE_ROWS] * plan[STRIDE])


@inlined
def _last(plan: Any) -> Any:
    """Return the last layer."""
    return offset(plan, HEAD + (plan[LAYERS] - 1) * LAYER_FIELDS)


@kernel
def spread_outputs(plan: Any, y: Any, scratch: Any) -> Any:
    """Overwrite the scratch rows of targets with y (K), spread; return their place."""
    rows = offset(scratch, plan[TARGET_ROW] * plan[STRIDE])
    _spread(y, 1, rows, plan[STRIDE], plan[OUTPUTS])
    return rows


@inlined
def weight_of_one(plan: Any, scratch: Any) -> Any:
    """Overwrite the scratch row of weights with 1 for the sample, and else 0; return its place."""
    row = offset(scratch, plan[WEIGHT_ROW] * plan[STRIDE])
    store(row, 0, fill(load(row, 0), 1.0))
    store(row, 0, load_part(row, 0, 1))
    return row


@inlined
def loss(plan: Any, numbers: Any, y: Any, target: Any, weight: Any, scratch: Any) -> float:
    """Return the weighted loss; overwrite the spread scratch rows of the output gradient, as ``tile.loss`` does.

    y (K) is the last layer's; target (K) may be anywhere; weight is a vector with the sample's in lane 0, and else
    0.
    """
    stride, outputs = plan[STRIDE], plan[OUTPUTS]
    z, d = offset(scratch, _last(plan)[LAYER_Z] * stride), offset(scratch, plan[GRADIENT_ROW] * stride)
    if outputs > 1:  # the vector of a single unit is already a spread row
        one, two = _work(plan, scratch)
        _spread(z, 1, one, stride, outputs)
        _spread(y, 1, two, stride, outputs)
        z, y = one, two
    t = offset(scratch, plan[TARGET_ROW] * stride)
    _spread(target, 1, t, stride, outputs)
    settings = offset(numbers, plan[LOSS_SETTINGS])
    shape = calls.packed(stride, width(scratch), outputs)
    return calls.loss(plan[LOSS], z, y, t, weight, d, settings, shape)


@inlined
def _by_last_z(plan: Any, scratch: Any) -> Any:
    """Return the gradient with respect to the last layer's z, a vector, from the spread output gradient."""
    stride, lanes, layer = plan[STRIDE], width(scratch), _last(plan)
    units = layer[LAYER_OUTPUTS]
    of_outputs, slope = offset(scratch, plan[GRADIENT_ROW] * stride), offset(scratch, layer[LAYER_D] * stride)
    if plan[FUSED] == 0 and layer[LAYER_COUPLED] == 0:
        if units == 1:
            store(slope, 0, load(of_outputs, 0) * load(slope, 0))
        else:
            for u in range(units):
                slope[u] = of_outputs[u * stride] * slope[u]
        return slope
    if plan[FUSED] == 0:
        one = _work(plan, scratch)[0]
        _spread(offset(scratch, layer[LAYER_Y] * stride), 1, one, stride, units)
        calls.activate(layer[LAYER_ACTIVATION], one, one, of_outputs, stride, lanes, units, TIMES_SLOPE)
    if units == 1:
        return of_outputs
    store(slope, units - units % lanes, fill(load(slope, 0), 0.0))
    _gather(of_outputs, stride, slope, units)
    return slope


@inlined
def _back(plan: Any, layer: Any, parameters: Any, scratch: Any, d: Any, before: Any, step: int) -> None:
    """Multiply ``before`` (numbers ``step`` apart) by the gradient with respect to a layer's inputs.

    d is the gradient with respect to the layer's z. If step is 1, ``before`` is whole vectors, with anything
    finite after the inputs; else spread rows.
    """
    stride, lanes = plan[STRIDE], width(scratch)
    one, two = _work(plan, scratch)
    weights = offset(parameters, layer[LAYER_WEIGHTS])
    inputs, units = layer[LAYER_INPUTS], layer[LAYER_OUTPUTS]
    if layer[LAYER_KIND] == DENSE and units == 1 and step == 1:
        times_weights(weights, d, before, inputs)
    elif layer[LAYER_KIND] == DENSE:
        backward_inputs(weights, d, one, units, inputs)
        if step == 1:
            whole = inputs - inputs % lanes
            for i in range(0, whole, lanes):
                store(before, i, load(before, i) * load(one, i))
            if whole < inputs:
                store(before, whole, load(before, whole) * load_part(one, whole, inputs - whole))
        else:
            for i in range(inputs):
                store(before, i * stride, load(before, i * stride) * load_part(one, i, 1))
    else:
        z = offset(scratch, layer[LAYER_Z] * stride)
        dx = before
        if step == 1:
            dx = two
            _spread(before, 1, dx, stride, inputs)
        # Without the gradient of its parameters, which is computed later.
        flags = (False, False, True)
        calls.layer_backward(layer[LAYER_BACKWARD], (z, d, dx), weights, parameters, flags, (stride, lanes, units))
        if step == 1:
            _gather(dx, stride, before, inputs)


@inlined
def _back_to(plan: Any, parameters: Any, scratch: Any, d: Any, first: int) -> Any:
    """Overwrite the gradient of each layer's z, from the last one's, d, back to the first's, which is returned."""
    for i in range(plan[LAYERS] - 1, first, -1):
        layer = offset(plan, HEAD + i * LAYER_FIELDS)
        before = offset(plan, HEAD + (i - 1) * LAYER_FIELDS)
        dx = offset(scratch, before[LAYER_D] * plan[STRIDE])
        _back(plan, layer, parameters, scratch, d, dx, 1 if before[LAYER_KIND] == DENSE else plan[STRIDE])
        d = dx
    return d


@inlined
def backward(plan: Any, parameters: Any, gradient: Any, x: Any, scratch: Any, add: bool) -> None:
    """Overwrite the gradient (or add to it), from the spread scratch rows of the output gradient.

    A vector after the gradient is overwritten with zeros too, or stays. The rows d, which are the derivatives of
    activations, become the gradients with respect to z. Goes back to the first layer that is trained.
    """
    stride, last = plan[STRIDE], plan[LAYERS] - 1
    of_last = _by_last_z(plan, scratch)
    _back_to(plan, parameters, scratch, of_last, plan[FIRST_TRAINED])
    # From the front, since each layer's zeros are where the next one's numbers go.
    for i in range(plan[FIRST_TRAINED], plan[LAYERS]):
        layer = offset(plan, HEAD + i * LAYER_FIELDS)
        if layer[LAYER_TRAINED] == 0:
            continue
        inputs, units = layer[LAYER_INPUTS], layer[LAYER_OUTPUTS]
        dw, d = offset(gradient, layer[LAYER_WEIGHTS]), offset(scratch, layer[LAYER_D] * stride)
        if i == last:
            d = of_last
        if layer[LAYER_KIND] == DENSE:
            source, step = x, 1
            if i > 0:
                before = offset(plan, HEAD + (i - 1) * LAYER_FIELDS)
                source = offset(scratch, before[LAYER_Y] * stride)
                step = 1 if before[LAYER_KIND] == DENSE else stride
            backward_weights(source, step, d, dw, units, inputs, add)
        else:
            weights, z = offset(parameters, layer[LAYER_WEIGHTS]), offset(scratch, layer[LAYER_Z] * stride)
            shape, flags = (stride, width(scratch), units), (add, True, False)
            calls.layer_backward(layer[LAYER_BACKWARD], (z, d, d), weights, dw, flags, shape)


@kernel
def input_gradient(plan: Any, parameters: Any, given: Any, scratch: Any, out: Any) -> None:
    """Overwrite out (F) with the gradient of the network's inputs, from ``given`` (K), that of its outputs.

    To be called after ``forward`` with training, by a plan that trains from the first layer on and whose loss is
    not FUSED (it may have none). Overwrites the rows d, the derivatives: another gradient needs another
    ``forward``.
    """
    stride, lanes = plan[STRIDE], width(scratch)
    d, two = offset(scratch, plan[GRADIENT_ROW] * stride), _work(plan, scratch)[1]
    for k in range(plan[OUTPUTS]):
        store(d, k * stride, load_part(given, k, 1))
    d = _back_to(plan, parameters, scratch, _by_last_z(plan, scratch), 0)
    layer = offset(plan, HEAD)
    step = 1 if layer[LAYER_KIND] == DENSE else stride
    # A vector of ones, or spread rows of ones.
    for i in range(0, plan[INPUTS] * step, lanes if step == 1 else stride):
        store(two, i, fill(load(two, i), 1.0))
    _back(plan, layer, parameters, scratch, d, two, step)
    _gather(two, step, out, plan[INPUTS])
