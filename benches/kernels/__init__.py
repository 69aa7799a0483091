"""Measures single operations against those of peers: `python -m benches.kernels`."""
