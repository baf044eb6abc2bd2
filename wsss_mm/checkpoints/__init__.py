"""Checkpoints: read without running code, written whole, gone on from to the bit."""
