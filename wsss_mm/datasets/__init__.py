"""Datasets, their tags and their transforms."""
