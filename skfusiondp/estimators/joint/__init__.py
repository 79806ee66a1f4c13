"""The joint model of sensitive columns given public facts, made of noised sums."""
