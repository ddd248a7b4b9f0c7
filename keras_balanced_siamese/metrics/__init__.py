"""Metrics of pair verification for `fit`, computed over all pairs of an epoch."""
