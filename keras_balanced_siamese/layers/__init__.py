"""Layers for the distance of two embeddings and the probability derived from it."""
