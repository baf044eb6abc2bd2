"""Readers and writers of CAM, mask and checkpoint files."""
