"""The command `wsss`: it reads arguments and calls `wsss_mm.apis`."""
