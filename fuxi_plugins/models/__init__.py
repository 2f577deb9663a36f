"""The native models, FuxiCTR model classes, one file each; ``fuxi_plugins.models.registry`` knows them by name.

Settings that all of them share: ``learning_rate``; ``embedding_dim``, k, the width of a field's embedding; and
``embedding_regularizer`` and ``net_regularizer`` of the embedding tables and of all else, a number for L2 or
``l1(x)``, ``l2(x)``, ``l1_l2(x,y)``. What goes to FuxiCTR's ``BaseModel`` beyond these is in its own signature.

Nothing is imported here, so that a name can be looked up without loading torch or FuxiCTR.
"""
