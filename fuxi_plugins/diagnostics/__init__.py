"""What happens inside a model: effective ranks of its representations."""
