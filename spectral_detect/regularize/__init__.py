"""Generators whose spectrum is right: the only home of torch, which the extra `torch` installs.

Nothing is imported here, so that the workers that read images do without torch.
"""
