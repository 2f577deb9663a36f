"""Reads the files that users have, csv, parquet, Arrow or JSON lines, block by block in bounded memory."""
