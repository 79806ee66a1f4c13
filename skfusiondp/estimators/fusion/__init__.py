"""FusionDP: a torch module trained on two views of the table."""
