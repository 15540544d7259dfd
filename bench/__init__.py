"""Benchmarks: fastnn beside plain Python, NumPy, PyTorch, JAX and scikit-learn, on equal terms.

``pytest bench`` runs every row once; ``pytest bench --benchmark-enable`` times them with pytest-benchmark.
``python -m bench.compare`` takes the rows in turns, so that ratios mean something on a machine that is not
quiet, and writes ``bench/results``; ``python -m bench.report`` makes tables and the plot from that.
"""
