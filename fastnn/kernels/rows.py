"""Conversion of samples from rows, as users have them, to lanes; predictions and their derivatives by rows.

n rows, F features, K outputs, S samples (whole vectors). Rows of a tile are ``stride`` numbers apart.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels import calls, tile
from fastnn.kernels.atomics import add
from fastnn.kernels.jit import inlined, kernel
from fastnn.kernels.layout import (
    DENSE,
    EPOCHS,
    GRADIENT_ROW,
    HEAD,
    INPUT_ROW,
    INPUTS,
    LAYER_BACKWARD,
    LAYER_D,
    LAYER_FIELDS,
    LAYER_INPUTS,
    LAYER_KIND,
    LAYER_OUTPUTS,
    LAYER_WEIGHTS,
    LAYER_Z,
    LAYERS,
    OUTPUTS,
    SAMPLES,
    STRIDE,
    TILE,
)
from fastnn.kernels.simd import (
    TWO,
    fill,
    load,
    load_columns,
    offset,
    on_stack,
    select,
    store,
    store_block,
    transpose,
    unzip,
    width,
)
from fastnn.kernels.vectors import finite, padded

FEW_COLUMNS = (1, 2, 4)  # numbers of columns that registers can take apart quickly


@inlined
def taken_apart(count: int, lanes: int) -> bool:
    """Return whether ``lay_out`` takes consecutive rows of that many columns apart in registers."""
    return count < lanes and count in FEW_COLUMNS


@kernel
def _lay_out_few(source: Any, count: int, target: Any, stride: int, rows: int) -> None:
    """Overwrite rows of a tile (F, n) with the source's (n, F); F is in FEW_COLUMNS, n whole vectors."""
    lanes = width(target)
    for s in range(0, rows, lanes):
        row, column = offset(source, s * count), offset(target, s)
        if count == 1:
            store(column, 0, load(row, 0))
        elif count == 2:
            store_block(column, stride, unzip(load_columns(row, 0, TWO)), TWO)
        else:
            # Columns 0 and 2 alternating, and 1 and 3.
            front, back = unzip(load_columns(row, 0, TWO)), unzip(load_columns(row, 2 * lanes, TWO))
            store_block(column, 2 * stride, unzip((front[0], back[0])), TWO)
            store_block(offset(column, stride), 2 * stride, unzip((front[1], back[1])), TWO)


@kernel
def lay_out(source: Any, places: Any, run: int, count: int, target: Any, stride: int, samples: int) -> None:
    """Overwrite rows of a tile (F, S) with rows (F) of the source, whose indices are in ``places``.

    At least the first ``run`` of these are consecutive; if they are ``taken_apart``, whole vectors of them need
    only the first index.
    """
    lanes, start = width(target), 0
    whole = count - count % lanes
    if taken_apart(count, lanes):
        start = run - run % lanes
        _lay_out_few(offset(source, places[0] * count), count, target, stride, start)
    for group in range(0, samples if whole > 0 else 0, lanes):
        for f in range(0, whole, lanes):
            transpose(offset(source, f), offset(places, group), count, offset(target, f * stride + group), stride)
    for f in range(whole, count):
        row = offset(target, f * stride)
        for s in range(start, samples):
            row[s] = source[places[s] * count + f]


@inlined
def scatter(source: Any, stride: int, sample: int, target: Any, row: int, count: int) -> None:
    """Overwrite a row (K) of the target with one sample's lane in ``count`` rows of the source."""
    for k in range(count):
        target[row * count + k] = source[k * stride + sample]


@kernel
def predicted_class(y: Any, stride: int, samples: int, outputs: int, said: Any) -> None:
    """Overwrite said (S) with each sample's class: the first of its greatest outputs (K, S), -1 if one is NaN."""
    for s in range(0, samples, width(y)):
        greatest = load(y, s)
        best, flaw = fill(greatest, 0.0), select(greatest == greatest, fill(greatest, 0.0), 1.0)
        for k in range(1, outputs):
            number = load(y, k * stride + s)
            better = number > greatest
            best = select(better, float(k), best)
            greatest = select(better, number, greatest)
            flaw = select(number == number, flaw, 1.0)
        store(said, s, select(flaw > 0.0, -1.0, best))


@kernel
def _forward(
    plan: Any,
    numbers: Any,
    parameters: Any,
    inputs: Any,
    places: Any,
    scratch: Any,
    start: int,
    used: int,
    training: bool,
) -> tuple:
    """Lay out ``used`` rows of the inputs in scratch and take them through the network; return (samples, outputs).

    Samples are whole vectors, filled up with the last row; outputs is where ``tile.forward`` has put them.
    Overwrites the places with the indices of the rows.
    """
    stride = plan[STRIDE]
    x, to_come = offset(scratch, plan[INPUT_ROW] * stride), offset(inputs, (start + plan[TILE]) * plan[INPUTS])
    samples = padded(used, scratch)
    for s in range(samples):
        places[s] = start + min(s, used - 1)
    lay_out(inputs, places, used, plan[INPUTS], x, stride, samples)
    ahead, at = (to_come, to_come), (plan, plan[EPOCHS])  # there are no targets
    return samples, tile.forward(plan, numbers, parameters, x, ahead, scratch, samples, training, at)


@kernel
def predict(
    plan: Any,
    numbers: Any,
    parameters: Any,
    inputs: Any,
    outputs: Any,
    scratch: Any,
    taken: Any,
    flaw: Any,
    most: int,
) -> None:
    """Overwrite rows of the outputs (n, K) from those of the inputs (n, F): at most ``most`` tiles.

    taken[0] is the number of the next tile, shared by all threads; flaw[0] becomes 1 if an input is not finite.
    """
    stride, units, places = plan[STRIDE], plan[OUTPUTS], on_stack(plan, plan[TILE])
    x = offset(scratch, plan[INPUT_ROW] * stride)
    for _ in range(most):
        start = plan[TILE] * add(taken, 0, 1)
        used = min(plan[TILE], plan[SAMPLES] - start)
        if used <= 0:
            break
        samples, y = _forward(plan, numbers, parameters, inputs, places, scratch, start, used, False)
        for f in range(plan[INPUTS]):
            if not finite(offset(x, f * stride), samples):
                flaw[0] = 1
        for s in range(used):
            scatter(y, stride, s, outputs, start + s, units)


@kernel
def _copy(source: Any, target: Any, stride: int, samples: int, rows: int) -> None:
    """Overwrite rows of a tile with other rows."""
    for r in range(rows):
        for t in range(r * stride, r * stride + samples, width(source)):
            store(target, t, load(source, t))


@kernel
def _fill(target: Any, number: float, stride: int, samples: int, rows: int) -> None:
    """Overwrite rows of a tile with a number."""
    for r in range(rows):
        for t in range(r * stride, r * stride + samples, width(target)):
            store(target, t, fill(load(target, t), number))


@kernel
def _input_gradient(
    plan: Any, parameters: Any, scratch: Any, works: tuple, zero: Any, samples: int, k: int
) -> Any:
    """Overwrite rows (F, S) with the derivatives of output k with respect to a tile's inputs; return their place.

    The forward pass of the tile is done, and its rows d, the derivatives of the activations, stay as they are.
    Overwrites the rows of the gradient with respect to the outputs, and works. ``zero`` points to a 0.
    """
    stride, outputs = plan[STRIDE], plan[OUTPUTS]
    d = offset(scratch, plan[GRADIENT_ROW] * stride)
    _fill(d, 0.0, stride, samples, outputs)
    _fill(offset(d, k * stride), 1.0, stride, samples, 1)
    tile.times_last_slope(plan, d, scratch, samples)
    dx, other = works
    for i in range(plan[LAYERS] - 1, -1, -1):
        layer = offset(plan, HEAD + i * LAYER_FIELDS)
        inputs, shape = layer[LAYER_INPUTS], (stride, samples, layer[LAYER_OUTPUTS])
        weights = offset(parameters, layer[LAYER_WEIGHTS])
        if i > 0:
            before = offset(plan, HEAD + (i - 1) * LAYER_FIELDS)
            _copy(offset(scratch, before[LAYER_D] * stride), dx, stride, samples, inputs)
        else:
            _fill(dx, 1.0, stride, samples, inputs)
        if layer[LAYER_KIND] == DENSE:
            tile.backward_inputs(layer, d, weights, zero, dx, shape)
        else:
            z = offset(scratch, layer[LAYER_Z] * stride)
            flags = (False, False, True)  # its parameters get no gradient, and are passed in its place
            calls.layer_backward(layer[LAYER_BACKWARD], (z, d, dx), weights, weights, flags, shape)
        d = dx
        dx, other = other, dx
    return d


@kernel
def jacobian(
    plan: Any,
    numbers: Any,
    parameters: Any,
    inputs: Any,
    out: Any,
    scratch: Any,
    work: tuple,
    outputs: tuple,
    taken: Any,
    most: int,
) -> None:
    """Overwrite blocks (M, F) of out (n, M, F) from rows of the inputs (n, F): at most ``most`` pieces.

    They are the derivatives of M outputs with respect to the inputs; a piece is a tile and some of these outputs.
    ``outputs`` is (the first, M, how many a piece has). Overwrites scratch and work: (rows, rows, a 0), each with
    as many rows as the widest layer has inputs.
    """
    stride, features = plan[STRIDE], plan[INPUTS]
    (start_of, many, together), places = outputs, on_stack(plan, plan[TILE])
    pieces = (many + together - 1) // together  # of a tile
    one, two, zero = work
    for _ in range(most):
        piece = add(taken, 0, 1)
        start, at = plan[TILE] * (piece // pieces), piece % pieces * together
        used = min(plan[TILE], plan[SAMPLES] - start)
        if used <= 0:
            break
        samples, _ = _forward(plan, numbers, parameters, inputs, places, scratch, start, used, True)
        for m in range(at, min(many, at + together)):
            dx = _input_gradient(plan, parameters, scratch, (one, two), zero, samples, start_of + m)
            for s in range(used):
                scatter(dx, stride, s, out, (start + s) * many + m, features)
