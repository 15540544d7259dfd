"""fastnn trains small neural networks on a CPU, fast, and checks itself against a plain-Python reference.

>>> import fastnn
>>> X, y = fastnn.datasets.circle(density=10)
>>> net = fastnn.mlp([2, 4, 1], activation="sigmoid", output="sigmoid", initializer="uniform")
>>> history = net.fit(X, y, epochs=2000, optimizer=fastnn.SGD(10.0), loss="mse")
>>> round(float(history.loss[-1]), 4)
0.0035
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from fastnn import datasets as datasets
from fastnn import losses as losses
from fastnn import optimizers as optimizers
from fastnn._version import __version__ as __version__
from fastnn.callbacks import Callback as Callback
from fastnn.callbacks import EarlyStopping as EarlyStopping
from fastnn.callbacks import Progress as Progress
from fastnn.callbacks import StopTraining as StopTraining
from fastnn.dataset import Dataset as Dataset
from fastnn.differences import check_gradients as check_gradients
from fastnn.differences import numerical_diff as numerical_diff
from fastnn.differences import numerical_gradient as numerical_gradient
from fastnn.differences import tangent_line as tangent_line
from fastnn.history import History as History
from fastnn.layers import BatchNormalization as BatchNormalization
from fastnn.layers import Dense as Dense
from fastnn.layers import Dropout as Dropout
from fastnn.layers import LayerNormalization as LayerNormalization
from fastnn.network import Sequential as Sequential
from fastnn.network import load as load
from fastnn.network import mlp as mlp
from fastnn.optimizers import LBFGS as LBFGS
from fastnn.optimizers import SGD as SGD
from fastnn.optimizers import Adadelta as Adadelta
from fastnn.optimizers import Adagrad as Adagrad
from fastnn.optimizers import Adam as Adam
from fastnn.optimizers import AdamW as AdamW
from fastnn.optimizers import AMSGrad as AMSGrad
from fastnn.optimizers import LevenbergMarquardt as LevenbergMarquardt
from fastnn.optimizers import Lion as Lion
from fastnn.optimizers import Nadam as Nadam
from fastnn.optimizers import RMSprop as RMSprop
from fastnn.optimizers import Rprop as Rprop

if TYPE_CHECKING:
    from fastnn import metrics as metrics
    from fastnn import schedules as schedules
    from fastnn.diagnosis import Diagnosis as Diagnosis
    from fastnn.diagnosis import diagnose as diagnose
    from fastnn.ensemble import Ensemble as Ensemble
    from fastnn.handles import gradient_one as gradient_one
    from fastnn.handles import predict_one as predict_one
    from fastnn.many import Fits as Fits
    from fastnn.many import each as each
    from fastnn.many import fit_many as fit_many
    from fastnn.own_functions import own_activation as own_activation
    from fastnn.own_functions import own_loss as own_loss

# Names that most programs do not need are imported on first use; the others take a twentieth of a second.
_LATER = {
    "Diagnosis": "fastnn.diagnosis",
    "Ensemble": "fastnn.ensemble",
    "Fits": "fastnn.many",
    "diagnose": "fastnn.diagnosis",
    "each": "fastnn.many",
    "fit_many": "fastnn.many",
    "gradient_one": "fastnn.handles",
    "metrics": "fastnn",
    "own_activation": "fastnn.own_functions",
    "own_loss": "fastnn.own_functions",
    "predict_one": "fastnn.handles",
    "schedules": "fastnn",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        this = sys.modules[__name__]  # with this, Python suggests the name that may be meant
        raise AttributeError(f"module 'fastnn' has no attribute {name!r}", name=name, obj=this)
    if _LATER[name] == "fastnn":
        return importlib.import_module(f"fastnn.{name}")
    return getattr(importlib.import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER} - {"importlib", "sys", "TYPE_CHECKING", "Any", "_LATER", "annotations"})
