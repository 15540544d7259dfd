"""What stands where in the arrays that a compiled run is given.

A plan is a row of whole numbers: a head, then ``LAYER_FIELDS`` numbers for each layer, then lists that the head
says the places of. Rows of scratch memory are counted in rows (of ``STRIDE`` numbers), parameters in numbers.
An address is that of a part (see ``kernels.calls``); 0 stands for none.
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
    PACKED,  # 1: inputs, targets and weights lie in tiles already; 0: rows are gathered for each batch
    WEIGHTED,  # 1: a weight for each sample; 0: a tile of ones, and then, if packed, that of the last tile
    SHUFFLED,  # 1: each epoch takes the rows in an order of its own
    SEED,  # of the shuffling and of dropout
    EPOCHS,
    TASK,  # EVALUATE, GRADIENT or TRAIN
    FUSED,  # 1: the loss has its derivative by the output's z, 0: by y
    LOSS,  # address
    LOSS_SETTINGS,  # where they stand in the row of real numbers
    OPTIMIZER,  # address
    LINE_SEARCH,  # 1: it tries places; those it accepts are in the previous parameters
    GAUSS_NEWTON,  # address: of a tile's part of the Gauss-Newton matrix, which begins the optimizer's state
    NEWTON_WORK,  # where memory for that begins in the optimizer's state
    SCHEDULE,  # address; 0: the learning rate stays
    SCHEDULE_SETTINGS,
    PENALTY,  # address: of the sums of |w| and w²
    PENALTIES,  # how many layers have one,
    PENALTY_LIST,  # the place in the plan of (start, count) for each,
    PENALTY_SETTINGS,  # and of its (l1, l2, 1 if it is trained) in the row of real numbers
    CLIP,  # address: of the bounds on the gradient
    CONSTRAINT,  # address: of the bounds on the norms of weights
    CONSTRAINTS,  # how many layers have one,
    CONSTRAINT_LIST,  # the place in the plan of (start, inputs, units) for each,
    CONSTRAINT_SETTINGS,  # and of its bound in the row of real numbers
    FROZEN,  # how many stretches of the parameter vector stay as they are,
    FROZEN_LIST,  # and the place in the plan of (start, count) for each
    FIRST_TRAINED,  # the first layer whose parameters are trained
    IDENTIFIED,  # 1: dropout asks for the number of each row
    METRICS,  # how many
    METRIC_LIST,  # the place in the plan of (address, settings, column, 1 if it is of labels) for each
    OF_OUTPUTS,  # 1: one of them is of the outputs,
    OF_LABELS,  # 1: one is of labels, which stand behind the outputs
    COLUMNS,  # numbers kept of an epoch: LOSS_COLUMN …
    RATE_COLUMN,  # its place, -1: not kept
    VALIDATION_COLUMN,  # of the loss of the validation rows, -1: there are none
    MONITOR_COLUMN,  # what is looked at for early stopping, -1: nothing
    PATIENCE,
    PLATEAU,  # 1: the rate is reduced where the loss stays
    PLATEAU_PATIENCE,
    PAUSE_EVERY,  # epochs after which a chunk ends, 0: none
    INPUT_ROW,  # scratch rows for gathered inputs,
    TARGET_ROW,  # targets
    WEIGHT_ROW,  # and weights,
    GRADIENT_ROW,  # and for the gradient by the outputs
    WINDOW,  # the first row that can be worked on now,
    WINDOW_END,  # and the first behind those; 0 and SAMPLES, unless rows are read as they are needed
    SHIFT,  # what is added to a row's number for its place among inputs, targets and weights
    FETCH_INPUTS,  # numbers of the next tile that are asked for from memory with each group of units; 0: none,
    FETCH_TARGETS,
    SINGLE_ROW,  # scratch rows for work on a single sample (see ``kernels.single``), 0: there are none,
    SINGLE_ROWS,  # and half their number
    FEW_ROWS,  # address: of work on batches that go row by row, 0: they do not
    HEAD,
) = range(61)

EVALUATE, GRADIENT, TRAIN = range(3)

LOSS_COLUMN = 0

# The numbers of a layer.
(
    LAYER_KIND,
    LAYER_INPUTS,
    LAYER_OUTPUTS,
    LAYER_ACTIVATION,  # address, of a dense layer
    LAYER_COUPLED,  # 1: the activation needs all units of a sample
    LAYER_GROUP,  # units that the activation is done for at once
    LAYER_WEIGHTS,  # where they start in the parameter vector
    LAYER_BIAS,
    LAYER_Z,  # scratch rows of weightsᵀ·x + bias,
    LAYER_Y,  # of its activation (the same rows where nobody needs z any more),
    LAYER_D,  # and of the activation's derivative, which becomes the gradient by z
    LAYER_TRAINED,  # 1: the gradient by its parameters is wanted
    LAYER_PAIRED,  # 1: a dense layer of one unit, which goes back at once with the dense layer before it
    LAYER_FORWARD,  # address: of a layer that is not dense, or a dense one of many inputs (see ``kernels.wide``)
    LAYER_BACKWARD,  # the same, or one of many outputs
    LAYER_GRADIENT,  # address: of a dense one with many of both; 0: ``kernels.dense`` does it
    LAYER_SETTING,  # the place of its one real number
    LAYER_NUMBER,  # its place among the network's layers
    LAYER_FIELDS,
) = range(19)

DENSE, OTHER = range(2)

# Real numbers that govern a run: the optimizer's settings (the learning rate first), then single ones, then what
# the plan tells the place of.
(CLIP_VALUE, CLIP_NORM, WARM_EPOCHS, MONITOR_SIGN, MONITOR_DELTA) = range(16, 21)
(PLATEAU_FACTOR, PLATEAU_DELTA, PLATEAU_LEAST) = range(21, 24)
NUMBERS = 24

# Where a run has got to: all that the next chunk needs to go on.
EPOCH = 0  # epochs finished
FIRST = 1  # first row of the batch under way
DONE = 2  # rows of that batch in the gradient already
TO_SHUFFLE = 3  # rows still to be shuffled in this epoch; -1: not begun
STATUS = 4
UPDATES = 5
VALIDATED = 6  # validation rows done in this epoch; -1: not begun
BEST_EPOCH = 7  # the one with the best value, counted from 1; 0: none yet
WAITED = 8  # epochs since
PLATEAU_WAITED = 9
CURSOR = 10

# What an optimizer answers: a parameter is not finite now; p has been updated; p is a trial, the epoch goes on;
# p is as good as it gets.
NOT_FINITE, MOVED, TRIAL, LAST = range(4)
MOST_PAIRS = 20  # that L-BFGS remembers; the optimizer's memory has room for them

RUNNING, FINISHED, DIVERGED, STOPPED, CONVERGED = range(5)

# Sums so far: of the batch's losses and weights, of the epoch's, of the validation rows'; and what is remembered.
BATCH_LOSS = 0
BATCH_WEIGHT = 1
EPOCH_LOSS = 2
EPOCH_WEIGHT = 3
VALIDATION_LOSS = 4
VALIDATION_WEIGHT = 5
SCALE = 6  # of the last gradient
BEST_VALUE = 7
PLATEAU_RATE = 8
PLATEAU_BEST = 9
BATCH_MEAN = 10  # the mean loss of the last batch
MEMORY = 11  # the optimizer's, MOST_MEMORY numbers
MOST_MEMORY = 128
STARTED_LOSS = 0  # of a line search's memory: the loss with which the epoch that has just ended had begun
SUMS = MEMORY + MOST_MEMORY
