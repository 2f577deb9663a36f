"""What happens inside a model: effective ranks of its representations, and the bounds that the algebra sets them."""
