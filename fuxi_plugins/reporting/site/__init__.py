"""Records and boards -> a folder of static pages that opens from disk and from any web host, without a network.

``build`` writes the folder, ``charts`` draws inline SVG, ``addresses`` gives every record a safe file name. The
templates are Jinja's with autoescape: whatever a record says is text.
"""
