"""Class activation maps: computing, placing and drawing them."""
