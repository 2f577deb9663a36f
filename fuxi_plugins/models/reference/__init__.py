"""Two models as one plain file each, to read first and to copy: torch alone, one formula, no options."""
