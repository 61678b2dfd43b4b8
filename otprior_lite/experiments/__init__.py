"""The computations behind figures and chapters: results in plain dataclasses, no drawing.

One module per subject, the same name as the module of `figures` that draws it. An experiment is deterministic:
every draw comes from the seed it is given.
"""
