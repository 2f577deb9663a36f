"""The native models, FuxiCTR model classes, one file each; ``fuxi_plugins.registry`` knows them by name.

Nothing is imported here, so that a name can be looked up without loading torch or FuxiCTR.
"""
