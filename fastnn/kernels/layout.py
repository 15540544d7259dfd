"""What stands where in the arrays that a compiled run is given.

A plan is a row of whole numbers: a head, then ``LAYER_FIELDS`` numbers for each layer. Rows of scratch memory
are counted in rows (of ``STRIDE`` numbers), parameters in numbers.
"""

from __future__ import annotations

# The head of a plan.
LAYERS = 0  # dense layers
INPUTS = 1  # features of a sample
OUTPUTS = 2  # numbers predicted for a sample
PARAMETERS = 3  # numbers in the parameter vector, in whole vectors
SAMPLES = 4  # rows of the data set
BATCH = 5  # rows of a batch
TILE = 6  # samples of a tile, in whole vectors
STRIDE = 7  # distance between rows of a tile
PACKED = 8  # 1: inputs, targets and weights lie in tiles already; 0: rows are gathered for each batch
WEIGHTED = 9  # 1: a weight for each sample; 0 (packed only): a tile of ones, then that of the last tile
SHUFFLED = 10  # 1: each epoch takes the rows in an order of its own
SEED = 11  # of the shuffling
EPOCHS = 12
LOSS = 13
FUSED = 14  # 1: the loss has its derivative by the output's z, 0: by y
OPTIMIZER = 15
INPUT_ROW = 16  # scratch rows for gathered inputs,
TARGET_ROW = 17  # targets
WEIGHT_ROW = 18  # and weights,
GRADIENT_ROW = 19  # and for the gradient by the outputs
FETCH_AHEAD = 20  # 1: tiles are asked for from memory before their turn comes
HEAD = 21

# The numbers of a layer.
LAYER_INPUTS = 0
LAYER_OUTPUTS = 1
LAYER_ACTIVATION = 2
LAYER_WEIGHTS = 3  # where they start in the parameter vector
LAYER_BIAS = 4
LAYER_Z = 5  # scratch rows of weightsᵀ·x + bias,
LAYER_Y = 6  # of its activation (the same rows where nobody needs z any more),
LAYER_D = 7  # and of the activation's derivative, which becomes the gradient by z
LAYER_FIELDS = 8

# Real numbers that govern a run.
LEARNING_RATE = 0
MOMENTUM = 1
NESTEROV = 2
NUMBERS = 3

# Where a run has got to: all that the next chunk needs to go on.
EPOCH = 0  # epochs finished
FIRST = 1  # first row of the batch under way
DONE = 2  # rows of that batch in the gradient already
TO_SHUFFLE = 3  # rows still to be shuffled in this epoch; -1: not begun
STATUS = 4
UPDATES = 5
CURSOR = 6

RUNNING, FINISHED, DIVERGED = range(3)

# Sums so far: of the batch's losses and weights, and of the epoch's.
BATCH_LOSS = 0
BATCH_WEIGHT = 1
EPOCH_LOSS = 2
EPOCH_WEIGHT = 3
SUMS = 4
