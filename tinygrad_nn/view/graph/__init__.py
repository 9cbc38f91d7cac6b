"""What a recorded graph knows about itself, before anything is drawn: names, gradients, paths, dense layers."""
