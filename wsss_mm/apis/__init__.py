"""The verbs: train, make CAMs, refine, evaluate, run a method, look at one image."""
