"""Layers that prepare data, by subject."""
