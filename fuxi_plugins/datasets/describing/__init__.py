"""Guesses a dataset config from looking at a user's files, and says aloud what it guessed."""
