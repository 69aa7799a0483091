"""Recurrent layers: cells, the layers that step them, and wrappers of both."""
