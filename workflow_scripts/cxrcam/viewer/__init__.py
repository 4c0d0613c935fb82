"""A page that runs the exported network in the browser; its own sources are in page/."""
