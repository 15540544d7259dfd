"""fastnn trains small neural networks on a CPU, fast, and checks itself against a plain-Python reference.

>>> import fastnn
>>> X, y = fastnn.datasets.circle(density=10)
>>> net = fastnn.mlp([2, 4, 1], activation="sigmoid", output="sigmoid", initializer="uniform")
>>> history = net.fit(X, y, epochs=2000, optimizer=fastnn.SGD(10.0), loss="mse")
>>> round(float(history.loss[-1]), 4)
0.0035
"""

from fastnn import datasets as datasets
from fastnn import losses as losses
from fastnn._version import __version__ as __version__
from fastnn.dataset import Dataset as Dataset
from fastnn.differences import check_gradients as check_gradients
from fastnn.differences import numerical_diff as numerical_diff
from fastnn.differences import numerical_gradient as numerical_gradient
from fastnn.differences import tangent_line as tangent_line
from fastnn.history import History as History
from fastnn.layers import Dense as Dense
from fastnn.network import Sequential as Sequential
from fastnn.network import load as load
from fastnn.network import mlp as mlp
from fastnn.optimizers import SGD as SGD
