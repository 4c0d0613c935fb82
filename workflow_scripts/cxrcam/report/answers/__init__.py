"""The pages of new images: what the networks say of each."""
