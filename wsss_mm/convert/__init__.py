"""Readers of released weights, and their layouts in our models' names."""
