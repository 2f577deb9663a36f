"""Records and boards -> a folder of static pages that opens from disk and from any web host, without a network.

``gather`` finds what the site shows, ``front``, ``views``, ``models``, ``intervals`` and ``curves`` work out what each
page shows, ``charts`` draws inline SVG, ``pages`` renders the templates, ``build`` names every file, and ``folder``
writes those that changed. The templates are Jinja's with autoescape: whatever a record says is text.
"""
