"""Generated radiographs whose lungs, findings and planted shortcuts are known."""
