"""The textbook neural network in plain Python: lists of floats and the standard library.

Every number that fastnn computes is checked against this package, so it is written to be read, not
to be fast: each function is next to its derivative, each forward pass next to its backward pass. Read
the files in this order: activations, losses, logit_losses, initializers, layers, normalization, random,
dropout, network, optimizers, schedules, training; then the files that these use, and differences.

    >>> from reference import SGD, datasets, mlp
    >>> X, y = datasets.circle(density=10)
    >>> net = mlp([2, 4, 1], output="sigmoid", initializer="uniform")
    >>> history = net.fit(X, y, epochs=2, optimizer=SGD(10.0), log_every=1)
    1 0.2919
    2 0.1645
"""

from . import activations as activations
from . import datasets as datasets
from . import initializers as initializers
from . import losses as losses
from . import metrics as metrics
from . import optimizers as optimizers
from . import random as random
from . import schedules as schedules
from .differences import check_gradients as check_gradients
from .differences import numerical_diff as numerical_diff
from .differences import numerical_gradient as numerical_gradient
from .differences import tangent_line as tangent_line
from .dropout import Dropout as Dropout
from .layers import Dense as Dense
from .layers import Neuron as Neuron
from .lbfgs import LBFGS as LBFGS
from .levenberg_marquardt import LevenbergMarquardt as LevenbergMarquardt
from .network import Sequential as Sequential
from .network import mlp as mlp
from .normalization import LayerNormalization as LayerNormalization
from .optimizers import SGD as SGD
from .optimizers import Adadelta as Adadelta
from .optimizers import Adagrad as Adagrad
from .optimizers import Adam as Adam
from .optimizers import AdamW as AdamW
from .optimizers import AMSGrad as AMSGrad
from .optimizers import Lion as Lion
from .optimizers import Nadam as Nadam
from .optimizers import RMSprop as RMSprop
from .optimizers import Rprop as Rprop
from .stopping import EarlyStopping as EarlyStopping
from .stopping import History as History
