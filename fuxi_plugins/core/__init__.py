"""Strict reading of configs: safe YAML, and pydantic's findings in one plain sentence."""
