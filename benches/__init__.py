"""Benches against tf.keras."""
