"""Maps of the evidence for each class: computing, placing and drawing them."""
