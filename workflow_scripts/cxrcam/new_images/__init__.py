"""Images that are part of no data set: listed, decoded, compared with those of the training."""
