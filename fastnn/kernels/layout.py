"""The layout of the arrays that a compiled run is given.

A plan is a row of whole numbers: a head, then ``LAYER_FIELDS`` numbers for each layer, then lists whose positions
are in the head. Positions in scratch memory are counted in rows (of ``STRIDE`` numbers), those of parameters in
numbers. An address is that of a part (see ``kernels.calls``); 0 means that there is none.
"""

from __future__ import annotations

# The head of a plan.
(
    LAYERS,
    INPUTS,  # features of a sample
    OUTPUTS,  # numbers predicted for a sample
    PARAMETERS,  # numbers in the parameter vector, in whole vectors
    SAMPLES,  # rows of the data set
    BATCH,  # rows of a batch
    TILE,  # samples of a tile, in whole vectors
    STRIDE,  # distance between rows of a tile
    PACKED,  # 1: inputs, targets and weights are packed in tiles; 0: rows are gathered for each batch
    WEIGHTED,  # 1: a weight for each sample; 0: a tile of ones and, if packed, another for the last tile
    SHUFFLED,  # 1: each epoch takes the rows in a new order
    SEED,  # for the shuffling and for dropout
    EPOCHS,
    TASK,  # EVALUATE, GRADIENT or TRAIN
    FUSED,  # 1: the loss's derivative is with respect to the output's z; 0: to its y
    LOSS,  # address
    LOSS_SETTINGS,  # their position in the row of real numbers
    OPTIMIZER,  # address
    LINE_SEARCH,  # 1: the optimizer tries several points; accepted ones are in the previous parameters
    GAUSS_NEWTON,  # address of what computes a tile's part of the Gauss-Newton matrix, the optimizer's first state
    NEWTON_WORK,  # where working memory for that begins in the optimizer's state
    SCHEDULE,  # address; 0: the learning rate is constant
    SCHEDULE_SETTINGS,
    PENALTY,  # address of the penalties: sums of |w| and w²
    PENALTIES,  # the number of layers that have one
    PENALTY_LIST,  # the position in the plan of (start, count) for each
    PENALTY_SETTINGS,  # the position in the row of real numbers of (l1, l2, 1 if it is trained) for each
    CLIP,  # address of gradient clipping
    CONSTRAINT,  # address of the bounds on the norms of weights
    CONSTRAINTS,  # the number of layers that have one
    CONSTRAINT_LIST,  # the position in the plan of (start, inputs, units) for each
    CONSTRAINT_SETTINGS,  # the position in the row of real numbers of the bound for each
    FROZEN,  # the number of stretches of the parameter vector that are not trained
    FROZEN_LIST,  # the position in the plan of (start, count) for each
    FIRST_TRAINED,  # the first layer whose parameters are trained
    IDENTIFIED,  # 1: dropout needs the index of each row
    METRICS,  # the number of metrics
    METRIC_LIST,  # the position in the plan of (address, settings, column, 1 if it compares labels) for each
    OF_OUTPUTS,  # 1: at least one metric compares outputs
    OF_LABELS,  # 1: at least one compares labels, which follow the outputs
    COLUMNS,  # how many numbers are recorded for an epoch: LOSS_COLUMN …
    RATE_COLUMN,  # the column of the learning rate; -1: not recorded
    VALIDATION_COLUMN,  # the column of the validation loss; -1: there are no validation rows
    MONITOR_COLUMN,  # the column that early stopping monitors; -1: none
    PATIENCE,
    PLATEAU,  # 1: the learning rate is reduced when the loss stops improving
    PLATEAU_PATIENCE,
    PAUSE_EVERY,  # a chunk ends after every this many epochs; 0: it need not
    INPUT_ROW,  # scratch rows for gathered inputs
    TARGET_ROW,  # the same for targets
    WEIGHT_ROW,  # the same for weights
    GRADIENT_ROW,  # scratch rows for the gradient with respect to the outputs
    WINDOW,  # the first row that can be worked on now
    WINDOW_END,  # the first row after those; 0 and SAMPLES, unless rows are read as they are needed
    SHIFT,  # what is added to a row's index to get its position among inputs, targets and weights
    FETCH_INPUTS,  # how many numbers of the next tile are prefetched with each group of units; 0: none
    FETCH_TARGETS,  # the same for targets
    SINGLE_ROW,  # scratch rows for work on a single sample (see ``kernels.single``); 0: there are none
    SINGLE_ROWS,  # half the number of those rows
    FEW_ROWS,  # address of the work on batches that are processed row by row; 0: they are not
    HEAD,
) = range(61)

EVALUATE, GRADIENT, TRAIN = range(3)

LOSS_COLUMN = 0

# The numbers of a layer.
(
    LAYER_KIND,
    LAYER_INPUTS,
    LAYER_OUTPUTS,
    LAYER_ACTIVATION,  # address; only for a dense layer
    LAYER_COUPLED,  # 1: the activation needs all units of a sample
    LAYER_GROUP,  # how many units the activation is computed for at once
    LAYER_WEIGHTS,  # where they start in the parameter vector
    LAYER_BIAS,
    LAYER_Z,  # scratch rows of weightsᵀ·x + bias
    LAYER_Y,  # scratch rows of its activation (the same rows as z if z is no longer needed)
    LAYER_D,  # scratch rows of the activation's derivative, which become the gradient with respect to z
    LAYER_TRAINED,  # 1: the gradient with respect to its parameters is needed
    LAYER_PAIRED,  # 1: a dense layer of one unit, whose backward pass is done with that of the dense layer before
    LAYER_FORWARD,  # address, for a layer that is not dense, or a dense one of many inputs (see ``kernels.wide``)
    LAYER_BACKWARD,  # address, for a layer that is not dense, or a dense one of many outputs
    LAYER_GRADIENT,  # address, for a dense layer with many of both; 0: ``kernels.dense`` computes it
    LAYER_SETTING,  # the position of its one real number
    LAYER_NUMBER,  # its index among the network's layers
    LAYER_FIELDS,
) = range(19)

DENSE, OTHER = range(2)

# Real numbers that control a run: the optimizer's settings (the learning rate first), then single numbers, then
# lists whose positions are in the plan.
(CLIP_VALUE, CLIP_NORM, WARM_EPOCHS, MONITOR_SIGN, MONITOR_DELTA) = range(16, 21)
(PLATEAU_FACTOR, PLATEAU_DELTA, PLATEAU_LEAST) = range(21, 24)
NUMBERS = 24

# The cursor: how far a run has got, and all that the next chunk needs to continue.
EPOCH = 0  # epochs finished
FIRST = 1  # first row of the current batch
DONE = 2  # rows of that batch that are already in the gradient
TO_SHUFFLE = 3  # rows still to be shuffled in this epoch; -1: not begun
STATUS = 4
UPDATES = 5
VALIDATED = 6  # validation rows done in this epoch; -1: not begun
BEST_EPOCH = 7  # the epoch with the best value, counted from 1; 0: none yet
WAITED = 8  # epochs since the best one
PLATEAU_WAITED = 9
CURSOR = 10

# The answers of an optimizer: a parameter is no longer finite; p has been updated; p is a trial, and the epoch
# goes on; p cannot be improved any further.
NOT_FINITE, MOVED, TRIAL, LAST = range(4)
MOST_PAIRS = 20  # the most pairs that L-BFGS keeps; the optimizer's memory has room for them

RUNNING, FINISHED, DIVERGED, STOPPED, CONVERGED = range(5)

# Sums so far: losses and weights of the batch, the epoch and the validation rows; then what a run remembers.
BATCH_LOSS = 0
BATCH_WEIGHT = 1
EPOCH_LOSS = 2
EPOCH_WEIGHT = 3
VALIDATION_LOSS = 4
VALIDATION_WEIGHT = 5
SCALE = 6  # the factor of the last gradient
BEST_VALUE = 7
PLATEAU_RATE = 8
PLATEAU_BEST = 9
BATCH_MEAN = 10  # the mean loss of the last batch
MEMORY = 11  # the optimizer's, MOST_MEMORY numbers
MOST_MEMORY = 128
STARTED_LOSS = 0  # in the memory of a line search: the loss at which the epoch that just ended had begun
SUMS = MEMORY + MOST_MEMORY
