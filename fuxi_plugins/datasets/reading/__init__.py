"""Reads the files that users have, csv, parquet or JSON lines, block by block in bounded memory."""
