"""OffsetFusion: a public model as a free offset, and a private correction in the sensitive columns."""
